// How Node runs the daemon, so that it stays small: without these it grows from 120 to 190 MB over its first thousands of
// ADDs, all of it garbage and holes (measured by `npm run bench:cni`). The build writes the same into the first line of
// `weaver`, for service managers.

/**
 * A small young generation; the old one is collected when it has grown by a fifth; code that is small rather than fast; and
 * compiled only when it has run fifteen times as long as by default: the compiler itself is 5 MB, and an idle daemon
 * does without it.
 */
export const NODE_FLAGS: readonly string[] = [
  "--min-semi-space-size=4",
  "--max-semi-space-size=4",
  "--heap-growing-percent=20",
  "--optimize-for-size",
  "--interrupt-budget=2000000",
];

/** glibc gives each of the ten threads an arena of its own, each with its own holes (mallopt(3)). */
export const NODE_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: "1" };
