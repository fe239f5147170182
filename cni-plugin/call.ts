// One call of the plugin on its way through the verbs.
import type { CniDeps } from "./deps.ts";
import type { CniRequest } from "./request.ts";

export interface Call {
  readonly request: CniRequest;
  readonly deps: CniDeps;
  /** Fires when the caller is gone, and for an ADD when a DEL comes. */
  readonly signal: AbortSignal;
  /** One line for the plugin's stderr and the daemon's log: something was done otherwise than it was asked for. */
  readonly warn: (line: string) => void;
}
