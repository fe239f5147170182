// What every verb is given instead of reaching for the process: where text goes, where the programs lie, and how to
// say the exit code. Tests give their own.
/** What a verb has of the world. */
export interface Context {
  /** Version of this weave. */
  readonly version: string;
  /** Absolute path of the directory with weave, weaver, weave-net and weave-ipam. */
  readonly programs: string;
  /** Writes one line (or several) to stdout; the newline is added. */
  readonly print: (text: string) => void;
  /** The same for stderr: warnings, progress, errors. */
  readonly tell: (text: string) => void;
  /** One line typed by a person; undefined where nobody can be asked, or nothing more is typed. */
  readonly ask: (question: string) => Promise<string | undefined>;
  /** For a verb that ends normally with another code than 0. */
  readonly setExitCode: (code: number) => void;
}

/** What is printed for people fits a terminal this wide. */
export const MAX_COLUMNS = 100;
