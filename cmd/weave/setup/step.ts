// What setup works on and what it tells the user about it.

/** A directory to install into. */
export interface Place {
  readonly path: string;
  readonly exists: boolean;
}

/** The two directories of a runtime. */
export interface Places {
  readonly bin: Place;
  readonly conf: Place;
}

/** One thing setup did or left alone. */
export interface Step {
  readonly action: "installed" | "updated" | "unchanged" | "kept" | "removed" | "missing" | "note" | "next";
  /** A path; for a note the whole of it; for "next" a command. */
  readonly what: string;
  readonly detail?: string;
  /** To run next; printed whole, however long. */
  readonly command?: string;
}
