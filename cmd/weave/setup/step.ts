// What setup works on and what it tells the user about it.

/** A directory to install into. */
export interface Place {
  readonly path: string;
  readonly exists: boolean;
}

/** One thing setup did or left alone. */
export interface Step {
  readonly action: "installed" | "updated" | "unchanged" | "kept" | "removed" | "missing" | "note";
  /** A path, or for a note the whole of it. */
  readonly what: string;
  readonly detail?: string;
}
