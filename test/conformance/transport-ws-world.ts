// alice and bob over real sockets on loopback, with a TCP relay between them as the link that can be stalled and cut.
import { connect, createServer, type Server, type Socket } from "node:net";
import { createWsTransport, type WsTransport } from "../../src/adapters/transport-ws.ts";
import type { Logger } from "../../src/ports/logger.ts";
import type { TransportWorld } from "./transport.ts";

// Longer than the longest timeout of the transport (a dial, 5 s).
const DEADLINE_MS = 10_000;
const POLL_MS = 2;

const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Waits on the real clock for a fact that sockets bring about. */
async function until(what: string, fact: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!fact()) {
    if (performance.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** With a key both use TLS. */
export async function createWsWorld(key?: Uint8Array): Promise<TransportWorld> {
  const open: WsTransport[] = [];
  const start = async (port: number): Promise<WsTransport> => {
    const transport = await createWsTransport({ host: "127.0.0.1", port, key, log: quiet });
    open.push(transport);
    return transport;
  };
  const alice = await start(0);
  const bob = await start(0);
  const relay = await createRelay(bob.address.port);
  return {
    alice,
    bob,
    aliceTarget: `127.0.0.1:${alice.address.port}`,
    bobTarget: `127.0.0.1:${relay.port}`,
    // Port 1 (tcpmux) is served by nobody; a free port chosen now might be taken by another test.
    nobodyTarget: "127.0.0.1:1",
    bobAgain: () => start(bob.address.port),
    stall: () => relay.stall(true),
    resume: () => relay.stall(false),
    cut: () => relay.cut(),
    until,
    async dispose() {
      // Before the transports: their closing handshakes need not cross a stalled link.
      await relay.close();
      await Promise.all(open.map((transport) => transport.shutdown()));
    },
  };
}

interface Relay {
  readonly port: number;
  stall(on: boolean): void;
  cut(): void;
  close(): Promise<void>;
}

async function createRelay(target: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let stalled = false;
  const server: Server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      // Whatever happens to one half happens to the other.
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on("data", (data: Buffer) => to.write(data));
      from.on("end", () => to.end());
      if (stalled) from.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has an address object");
  return {
    port: address.port,
    stall(on) {
      stalled = on;
      for (const socket of sockets) {
        if (on) socket.pause();
        else socket.resume();
      }
    },
    cut() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
