// Two transports with and without a key: who meets whom, what each is told, and what a stranger learns.
import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { Logger } from "../../ports/logger.ts";
import type { TransportEvent } from "../../ports/transport.ts";
import { createWsTransport, type WsTransport } from "../transport-ws.ts";
import { dialOptions, MESH_KEY_BYTES } from "./psk.ts";

const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const KEY = new Uint8Array(MESH_KEY_BYTES).fill(1);
const OTHER = new Uint8Array(MESH_KEY_BYTES).fill(2);
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Peer {
  readonly transport: WsTransport;
  readonly events: TransportEvent[];
  readonly port: number;
}

async function peer(key: Uint8Array | undefined): Promise<Peer> {
  const transport = await createWsTransport({ host: "127.0.0.1", port: 0, key, log: quiet });
  closing.push(() => transport.shutdown());
  const events: TransportEvent[] = [];
  transport.onEvent((event) => events.push(event));
  return { transport, events, port: transport.address.port };
}

async function told(peer: Peer, type: TransportEvent["type"]): Promise<TransportEvent> {
  for (const deadline = performance.now() + 8000; ; ) {
    const event = peer.events.find((one) => one.type === type);
    if (event !== undefined) return event;
    if (performance.now() > deadline) throw new Error(`no ${type} within 8 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Everything that comes until the other side hangs up. */
async function answer(port: number, question: Uint8Array | string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  closing.push(() => socket.destroy());
  let text = "";
  socket.on("data", (data: Buffer) => {
    text += data.toString("latin1");
  });
  socket.write(question);
  await once(socket, "close");
  return text;
}

describe("two peers", () => {
  it("with one key meet, over a connection with keys of its own", async () => {
    const [alice, bob] = [await peer(KEY), await peer(KEY)];
    alice.transport.dial(1, `127.0.0.1:${bob.port}`);
    await Promise.all([told(alice, "conn-up"), told(bob, "conn-up")]);

    const tls = connectTls({ ...dialOptions(KEY), host: "127.0.0.1", port: bob.port });
    closing.push(() => tls.destroy());
    await once(tls, "secureConnect");
    expect([tls.getProtocol(), tls.getCipher().standardName]).toEqual([
      "TLSv1.2",
      "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256",
    ]);
    expect(tls.getEphemeralKeyInfo()).toMatchObject({ type: "ECDH", name: "X25519" });
    expect(tls.getSession()?.length ?? 0).toBeGreaterThan(0);
    expect(tls.getTLSTicket()).toBeUndefined();
  });

  it.each([
    ["different keys", KEY, OTHER, "password-wrong", "password-wrong"],
    ["a key only where it is dialled", undefined, KEY, "password-missing-here", "password-missing-there"],
    ["a key only where it dials", KEY, undefined, "password-missing-there", "password-missing-here"],
  ])("with %s do not, and both are told why", async (_, hers, his, atAlice, atBob) => {
    const [alice, bob] = [await peer(hers), await peer(his)];
    alice.transport.dial(1, `127.0.0.1:${bob.port}`);
    expect(await told(alice, "dial-failed")).toMatchObject({ dial: 1, code: atAlice, message: /\w/ });
    expect(await told(bob, "conn-refused")).toEqual({
      type: "conn-refused",
      remoteAddress: "127.0.0.1",
      reason: { code: atBob, message: expect.stringMatching(/password/) },
    });
    expect([...alice.events, ...bob.events].some(({ type }) => type === "conn-up")).toBe(false);
  });

  it("without a key meet as ever, and one that is no peer is no matter of passwords", async () => {
    const [alice, bob] = [await peer(KEY), await peer(undefined)];
    await answer(bob.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    alice.transport.dial(1, "127.0.0.1:1");
    const failed = await told(alice, "dial-failed");
    expect(failed).not.toHaveProperty("code");
    expect(bob.events).toEqual([]);
  });
});

describe("a stranger at a port with a key", () => {
  it.each([
    ["a plain WebSocket", (port: number) => new WebSocket(`ws://127.0.0.1:${port}/weave`)],
    [
      "TLS with certificates",
      (port: number) => new WebSocket(`wss://127.0.0.1:${port}/weave`, { rejectUnauthorized: false }),
    ],
    [
      "TLS 1.3 with the right key",
      (port: number) =>
        new WebSocket(`wss://127.0.0.1:${port}/weave`, {
          ...dialOptions(KEY),
          ciphers: undefined,
          minVersion: "TLSv1.3",
          maxVersion: "TLSv1.3",
        }),
    ],
    [
      "a suite without forward secrecy",
      (port: number) =>
        new WebSocket(`wss://127.0.0.1:${port}/weave`, {
          ...dialOptions(KEY),
          ciphers: "PSK-AES256-GCM-SHA384",
        }),
    ],
    [
      "a key of zeros",
      (port: number) =>
        new WebSocket(`wss://127.0.0.1:${port}/weave`, dialOptions(new Uint8Array(MESH_KEY_BYTES))),
    ],
  ])("does not come in by %s", async (_, dial) => {
    const bob = await peer(KEY);
    const ws = dial(bob.port);
    closing.push(() => ws.terminate());
    await once(ws, "error");
    expect(bob.events.some(({ type }) => type === "conn-up")).toBe(false);
  });

  it("is told 401 and nothing else", async () => {
    const { port } = await peer(KEY);
    const upgrade =
      "GET /weave HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    expect(await answer(port, upgrade)).toMatch(
      /^HTTP\/1\.1 401 Unauthorized\r\nWWW-Authenticate: weave-password\r\n/,
    );
  });

  it("is no peer that lacks the password when it only looks what is there", async () => {
    const bob = await peer(KEY);
    await answer(bob.port, "GET / HTTP/1.0\r\n\r\n");
    const scan = connectTls({ host: "127.0.0.1", port: bob.port, rejectUnauthorized: false });
    await once(scan, "error");
    expect(bob.events).toEqual([]);
  });

  it("that does not finish what it began is dropped after 5 s", async () => {
    const { port } = await peer(KEY);
    const beginnings = ["", "\x16", "\x16\x03\x01\x02\x00\x01", "GET /weave HTTP/1.1\r\n"];
    const started = performance.now();
    const took = async (beginning: string): Promise<number> => {
      await answer(port, Buffer.from(beginning, "latin1"));
      return performance.now() - started;
    };
    for (const ms of await Promise.all(beginnings.map(took))) {
      expect(ms).toBeGreaterThan(4900);
      expect(ms).toBeLessThan(8000);
    }
  });

  it("does not hold up the end", async () => {
    const { port, transport } = await peer(KEY);
    const answers = [Buffer.of(0x16), Buffer.alloc(0), "GET"].map((bytes) => answer(port, bytes));
    // All three are there when a fourth, accepted after them, was answered.
    await answer(port, "GET / HTTP/1.0\r\n\r\n");
    const started = performance.now();
    await transport.shutdown();
    await Promise.all(answers);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe("a stranger at a port without a key", () => {
  it("that speaks TLS is refused by an alert, and is told to nobody", async () => {
    const bob = await peer(undefined);
    const scan = connectTls({ host: "127.0.0.1", port: bob.port, rejectUnauthorized: false });
    const [error]: unknown[] = await once(scan, "error");
    expect(String(error)).toContain("alert number 115");
    expect(bob.events).toEqual([]);
  });
});
