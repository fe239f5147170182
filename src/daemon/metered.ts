// The daemon's ports with a meter at them: what passes is counted and not changed.
import type { Reply, Request } from "../core/requests.ts";
import type { Meter } from "../ports/meter.ts";
import type { Transport } from "../ports/transport.ts";

/** Counts the bytes of frames. */
export function meteredTransport(transport: Transport, meter: Meter): Transport {
  return {
    onEvent: (listener) =>
      transport.onEvent((event) => {
        if (event.type === "conn-frame") meter.gossip("received", Buffer.byteLength(event.text));
        listener(event);
      }),
    dial: (dial, target) => transport.dial(dial, target),
    send(conn, text, options) {
      meter.gossip("sent", Buffer.byteLength(text));
      transport.send(conn, text, options);
    },
    close: (conn, reason) => transport.close(conn, reason),
    shutdown: () => transport.shutdown(),
  };
}

/** Takes the time of allocations. */
export async function meteredRequest(
  request: Request,
  meter: Meter | undefined,
  ask: () => Promise<Reply>,
): Promise<Reply> {
  if (meter === undefined || request.kind !== "allocate") return ask();
  const done = meter.allocating();
  const reply = await ask();
  done(reply.ok ? "ok" : "refused");
  return reply;
}
