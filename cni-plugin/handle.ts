// The door of the CNI plugin inside the daemon: one request of the forwarder in, exit code, stdout and stderr out.
// Nothing is thrown.
import { isBefore } from "../src/core/boot-moment.ts";
import { WeaveError } from "../src/core/errors.ts";
import type { AttachmentKey, BootMoment } from "../src/ports/attachments.ts";
import { addAddress, addToNetwork } from "./add.ts";
import { type ByHand, createByHand } from "./by-hand.ts";
import type { Call } from "./call.ts";
import { check, status } from "./check.ts";
import { del, gc, remove } from "./del.ts";
import { Departures } from "./departures.ts";
import { beganOf, type CniDeps, keyOf } from "./deps.ts";
import { CniCode, renderError, toCniError } from "./errors.ts";
import { reconcile, restoreShaping } from "./reconcile.ts";
import { type CniRequest, parseRequest, versionOf } from "./request.ts";
import { AttachmentTurns } from "./turns.ts";

export type { CniDeps } from "./deps.ts";

/** What the executable does next: print `stdout` and `stderr` byte for byte and exit with `exit`. */
export interface CniAnswer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CniPlugin extends ByHand {
  /** `signal` fires when the caller is gone: an ADD under way is then undone. `body` is not trusted. */
  handle(body: unknown, signal: AbortSignal): Promise<CniAnswer>;
  /** A DEL that the executable journalled at `began` because nobody was here. */
  replay(key: AttachmentKey, began: BootMoment): Promise<void>;
  /** Remove what no runtime will ask to remove, and follow containers that changed their MAC. */
  reconcile(): Promise<void>;
}

/** One per daemon: it remembers which attachments have a call under way. `added` is told of every ADD that succeeded. */
export function createCniPlugin(
  deps: CniDeps,
  added: () => void = () => {},
  defaultSubnets: () => readonly string[] = () => [],
): CniPlugin {
  const turns = new AttachmentTurns();
  const departures = new Departures();
  const startedAt = deps.boot.moment();

  const dispatch = async (call: Call): Promise<string> => {
    const { request, signal } = call;
    const key = keyOf(request);
    const began = beganOf(request, deps);
    switch (request.verb) {
      case "ADD": {
        const add = request.program === "weave-net" ? addToNetwork : addAddress;
        const stdout = await turns.add(key, began, signal, (either) => {
          refuseBefore(startedAt, began);
          departures.refuseEarlier(key, began);
          return add({ ...call, signal: either });
        });
        added();
        return stdout;
      }
      case "DEL":
        departures.note(key, began);
        return turns.remove(key, began, () => del(call));
      case "GC": {
        const stdout = await gc(call, turns);
        await reconcile(deps, turns);
        return stdout;
      }
      case "CHECK":
        return check(call, (attachment) => restoreShaping(deps, turns, attachment));
      case "STATUS":
        return status(call);
    }
  };

  const byHand = createByHand(
    deps,
    (request, signal) => {
      const warn = (line: string): void => deps.log?.warn("by hand", { ...keyOf(request), warning: line });
      return dispatch({ request, deps, signal, warn });
    },
    defaultSubnets,
  );

  return {
    ...byHand,
    async handle(body, signal) {
      let request: CniRequest | undefined;
      const warnings: string[] = [];
      const answer = (exit: number, stdout: string): CniAnswer => ({
        exit,
        stdout,
        stderr: warnings.map((line) => `${request?.program ?? "weave-net"}: ${line}\n`).join(""),
      });
      try {
        request = parseRequest(body);
        const about = { verb: request.verb, ...keyOf(request) };
        const warn = (line: string): void => {
          warnings.push(line);
          deps.log?.warn("CNI call", { ...about, warning: line });
        };
        return answer(0, await dispatch({ request, deps, signal, warn }));
      } catch (thrown) {
        const error = toCniError(thrown);
        const data = request === undefined ? {} : { verb: request.verb, ...keyOf(request) };
        if (error.code === CniCode.internal)
          deps.log?.error("CNI call failed on a bug", { ...data, error: stackOf(thrown) });
        else deps.log?.info("CNI call failed", { ...data, code: error.code, error: error.message });
        return answer(1, renderError(error, request?.version ?? versionOf(body)));
      }
    },
    async replay(key, began) {
      departures.note(key, began);
      const warn = (line: string): void => deps.log?.warn("journalled release", { ...key, warning: line });
      await turns.remove(key, began, async () => {
        const attachment = deps.attachments.find(key);
        const { bootId } = deps.boot.moment();
        // Written down before this boot, it is not about what was attached since.
        if (attachment?.moment.bootId === bootId && began.bootId !== bootId) return;
        if (attachment !== undefined) await remove({ deps, warn }, attachment, began);
      });
    },
    reconcile: () => reconcile(deps, turns),
  };
}

/** Of the DELs that a former daemon served nothing is known here: one of them may have been about this ADD. */
function refuseBefore(startedAt: BootMoment, began: BootMoment): void {
  if (!isBefore(began, startedAt)) return;
  throw new WeaveError("cancelled", "this ADD began before weaver was started and comes too late", {
    hint: "call it again",
  });
}

const stackOf = (thrown: unknown): string =>
  thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
