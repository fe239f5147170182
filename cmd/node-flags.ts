// How Node runs the daemon. The build writes the same into the first line of `weaver`, for service managers.

/**
 * A young generation of 2 MiB: with V8's 16 the daemon grows by 60 MB over its first thousands of ADDs, for objects that
 * live a few milliseconds (measured by `npm run bench:cni`).
 */
export const NODE_FLAGS: readonly string[] = ["--max-semi-space-size=2"];
