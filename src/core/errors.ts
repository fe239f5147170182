// The one error type that crosses module borders. It owns the list of stable codes; each edge maps a code once
// (HTTP status in src/adapters/http, exit code in cmd/weave, CNI code in cni-plugin).

/**
 * Stable error codes. A code never changes its meaning; messages may.
 * docs/errors.md lists each with its cause and cure.
 */
export const ERROR_CODES = [
  // the caller's input
  "bad-request", // a request, option or file that does not parse
  "bad-address", // not an address or CIDR, or outside the range it must lie in
  "unknown-attachment", // no container with that key here
  // addresses
  "no-ring", // nobody founded the cluster yet, or no peer that knows it is reachable
  "range-exhausted", // every address of the subnet is in use or owned by peers that cannot give any
  "address-taken", // the requested address is held by another container
  "address-elsewhere", // the requested address lies in a range another peer owns
  "port-taken", // the requested port of the host leads to another container, or is weave's own
  // decisions
  "unknown-peer", // no peer of that name or nickname
  "ambiguous-peer", // a nickname several peers have
  "no-quorum", // a decision needs voters that do not answer
  "no-heir", // no peer is reachable that could take this host's ranges
  "unknown-cluster", // no neighbour belongs to that cluster
  "in-use", // containers of this host are attached
  // kernel and host
  "netns-missing", // the network namespace path does not exist
  "netns-invalid", // it exists and is not a network namespace
  "netns-host", // it is the host's own namespace
  "ifname-exists", // the namespace already has an interface of that name
  "kernel", // a kernel operation failed; the message has operation, object, errno
  "feature-missing", // a tool or kernel option is absent; the hint names the package or option
  "range-overlap", // the address range overlaps a route of the host
  "mtu-invalid", // an MTU the overlay cannot carry
  // daemon
  "already-running",
  "port-in-use", // another process listens on the control port; the hint names the option to change
  "not-running",
  "timeout",
  "cancelled", // the caller went away
  "state-mismatch", // the data directory belongs to another name, range or newer version
  "storage", // the data directory cannot be read or written
  "internal", // a bug
] as const;
/** One of the stable codes of docs/errors.md. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** For codes that come from outside. */
export function isErrorCode(text: string): text is ErrorCode {
  return ERROR_CODES.some((code) => code === text);
}

/**
 * An expected failure: stable `code`, what failed and why in `message`, what to do next in `hint`.
 * `fields` are data for logs and `--json`. Anything else that is thrown is a bug.
 */
export class WeaveError extends Error {
  override readonly name = "WeaveError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly fields: Readonly<Record<string, string | number | boolean>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      hint?: string | undefined;
      cause?: unknown;
      fields?: Record<string, string | number | boolean>;
    } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.fields = options.fields ?? {};
  }
}
