// The daemon's TCP listeners beside the mesh: status and metrics by default, the control API where it was asked for.
import { serveControlOnTcp } from "../../src/adapters/http/control-tcp.ts";
import { serveReadOnly } from "../../src/adapters/http/read-only.ts";
import type { ControlHandlers } from "../../src/adapters/http/server.ts";
import type { Metrics } from "../../src/adapters/metrics/metrics.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { DEFAULT_STATUS_ADDR, type LaunchOptions, parseListenAddress } from "../../src/daemon/options.ts";
import type { Logger } from "../../src/ports/logger.ts";
import { render, SECTIONS } from "../weave/status.ts";

export interface Listeners {
  /** For the user who launches. */
  readonly warnings: readonly string[];
  close(): Promise<void>;
}

/**
 * A port that is taken keeps the status listener away, not the daemon: the network goes on without being watched, and a
 * warning says so. The control API was asked for, so its port must be had: port-in-use, bad-address.
 */
export async function openListeners(
  { httpAddr = "", statusAddr = DEFAULT_STATUS_ADDR }: Pick<LaunchOptions, "httpAddr" | "statusAddr">,
  handlers: ControlHandlers,
  metrics: Metrics,
  log: Logger,
): Promise<Listeners> {
  const closers: (() => Promise<void>)[] = [];
  const warnings: string[] = [];
  const control = httpAddr === "" ? undefined : place("--http-addr", httpAddr);
  if (control !== undefined) {
    const server = await serveControlOnTcp(control, handlers, log);
    closers.push(() => server.close());
    log.info("control API on TCP", { address: httpAddr });
  }
  try {
    if (statusAddr !== "") {
      const server = await openStatus(place("--status-addr", statusAddr), handlers, metrics, log);
      closers.push(() => server.close());
      log.info("status and metrics", { address: statusAddr });
    }
  } catch (error) {
    if (!(error instanceof WeaveError)) throw error;
    const hint = error.hint === undefined ? "" : `; ${error.hint}`;
    warnings.push(`no status and metrics: ${error.message}${hint}`);
  }
  return {
    warnings,
    async close() {
      await Promise.all(closers.map((close) => close()));
    },
  };
}

function openStatus(
  where: { readonly host: string; readonly port: number },
  handlers: ControlHandlers,
  metrics: Metrics,
  log: Logger,
) {
  let wasReady = false;
  return serveReadOnly(
    where,
    {
      status: () => handlers.status(),
      report: () => handlers.report(),
      metrics: () => metrics.scrape(handlers.status()),
      isReady() {
        const { ipam, datapath } = handlers.status();
        // Once it was, what goes wrong is told by the text: a probe that fails would have the daemon started anew.
        wasReady ||= datapath.settled && ipam.every(({ state }) => state === "ready");
        return wasReady;
      },
      render: (status, section) =>
        render(
          status,
          SECTIONS.find((name) => name === section),
        ),
      sections: SECTIONS,
    },
    log,
  );
}

function place(option: string, text: string): { readonly host: string; readonly port: number } {
  const found = parseListenAddress(text);
  if (found !== undefined) return found;
  throw new WeaveError("bad-address", `${option} ${text} is not ADDRESS:PORT`);
}
