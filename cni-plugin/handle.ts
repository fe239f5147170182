// The door of the CNI plugin inside the daemon: one request of the forwarder in, exit code and stdout out.
// Nothing is thrown.
import { addAddress, addToNetwork } from "./add.ts";
import { check, status } from "./check.ts";
import { del, gc } from "./del.ts";
import { type CniDeps, keyOf } from "./deps.ts";
import { CniCode, renderError, toCniError } from "./errors.ts";
import { type CniRequest, parseRequest, versionOf } from "./request.ts";
import { AttachmentTurns } from "./turns.ts";

export type { CniDeps } from "./deps.ts";

/** What the executable does next: print `stdout` byte for byte and exit with `exit`. */
export interface CniAnswer {
  readonly exit: number;
  readonly stdout: string;
}

/** `signal` fires when the caller is gone: an ADD under way is then undone. `body` is not trusted. */
export type CniHandler = (body: unknown, signal: AbortSignal) => Promise<CniAnswer>;

/** One handler per daemon: it remembers which attachments have a call under way. */
export function cniHandler(deps: CniDeps): CniHandler {
  const turns = new AttachmentTurns();
  return async (body, signal) => {
    let request: CniRequest | undefined;
    try {
      request = parseRequest(body);
      return { exit: 0, stdout: await dispatch(request, deps, turns, signal) };
    } catch (thrown) {
      const error = toCniError(thrown);
      const data = request === undefined ? {} : { verb: request.verb, ...keyOf(request) };
      if (error.code === CniCode.internal)
        deps.log?.error("CNI call failed on a bug", { ...data, error: stackOf(thrown) });
      else deps.log?.info("CNI call failed", { ...data, code: error.code, error: error.message });
      return { exit: 1, stdout: renderError(error, request?.version ?? versionOf(body)) };
    }
  };
}

async function dispatch(
  request: CniRequest,
  deps: CniDeps,
  turns: AttachmentTurns,
  signal: AbortSignal,
): Promise<string> {
  const key = keyOf(request);
  switch (request.verb) {
    case "ADD": {
      const add = request.program === "weave-net" ? addToNetwork : addAddress;
      return turns.add(key, signal, (either) => add(request, deps, either));
    }
    case "DEL":
      return turns.remove(key, () => del(request, deps));
    case "GC":
      return gc(request, deps, turns);
    case "CHECK":
      return check(request, deps);
    case "STATUS":
      return status(request, deps);
  }
}

const stackOf = (thrown: unknown): string =>
  thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
