// The control API on a TCP port of the loopback, only where an operator asked for it: the same calls as on the socket, for every
// user of this host. A web page that a browser of this host shows is no user: it is refused.
import type { IncomingHttpHeaders } from "node:http";
import { WeaveError } from "../../core/errors.ts";
import type { Logger } from "../../ports/logger.ts";
import { listen } from "./listen.ts";
import { type ControlHandlers, createServer } from "./server.ts";

/** Throws port-in-use and bad-address. */
export async function serveControlOnTcp(
  where: { readonly host: string; readonly port: number },
  handlers: ControlHandlers,
  log: Logger,
): Promise<{ close(): Promise<void> }> {
  const server = createServer(handlers, log);
  server.addHook("onRequest", async ({ headers }) => refuseBrowsers(headers));
  await listen(server, where, "--http-addr");
  return { close: () => server.close() };
}

/** Names under which a program of this host calls it; any other came by a name that was made to point here. */
const OWN_NAMES = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/** A page of another site sends its origin with every call that changes something, or a name that was rebound to us. */
function refuseBrowsers({ origin, host }: IncomingHttpHeaders): void {
  if (origin === undefined && (host === undefined || OWN_NAMES.test(host))) return;
  const why = origin === undefined ? `it was called by the name ${host}` : `it came from a page of ${origin}`;
  throw new WeaveError("bad-request", `refused: ${why}`, {
    hint: "call 127.0.0.1 or localhost, and not from a browser",
  });
}
