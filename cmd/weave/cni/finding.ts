// What can be wrong with the CNI directories of a host, and how a command for the user is written.

/** Stable; docs/status.md lists each with its meaning. */
export const FINDING_CODES = [
  "no-directory", // the configuration directory does not exist
  "no-configuration", // no file in it uses weave-net
  "hidden", // a file that sorts before ours is used instead
  "unparsable", // a file that sorts before the one used is broken: containerd stops at it
  "side-by-side", // one network in two files
  "plugin-missing", // an executable is in none of the directories
  "plugin-apart", // each is somewhere, but no directory has all
  "not-executable",
  "plugin-broken", // it does not answer VERSION
  "version", // it does not speak a version that the configuration offers
  "forwarder", // weave-net is not the one of this weave
  "daemon", // nobody answers on the socket that weave-net uses
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** Something that keeps containers from starting or from using weave. */
export interface Finding {
  readonly code: FindingCode;
  /** A path, or the name of a plugin. */
  readonly object: string;
  readonly message: string;
  /** What to run next. */
  readonly command: string;
}

/** As one word for a POSIX shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
