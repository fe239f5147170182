// What is WebSocket's alone: foreign and hostile callers, addresses, ports. The rest is in test/conformance/transport.ts.
import { once } from "node:events";
import { request } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { MAX_FRAME_CHARS } from "../core/connection.ts";
import type { Logger } from "../ports/logger.ts";
import type { TransportEvent } from "../ports/transport.ts";
import { createWsTransport, type WsTransport } from "./transport-ws.ts";

const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A listening transport, its events, and its URL. */
async function listen(
  host?: string,
): Promise<{ bob: WsTransport; events: TransportEvent[]; port: number; url: string }> {
  const bob = await createWsTransport({ ...(host === undefined ? {} : { host }), port: 0, log: quiet });
  const events: TransportEvent[] = [];
  bob.onEvent((event) => events.push(event));
  closing.push(() => bob.shutdown());
  const { port } = bob.address;
  return { bob, events, port, url: `ws://127.0.0.1:${port}/weave` };
}

/** A bare WebSocket, as a peer that is not ours would open it. */
async function foreign(url: string): Promise<WebSocket> {
  const ws = new WebSocket(url);
  closing.push(() => ws.terminate());
  await once(ws, "open");
  return ws;
}

async function closed(ws: WebSocket): Promise<{ code: number; text: string }> {
  const [code, text]: unknown[] = await once(ws, "close");
  return { code: Number(code), text: String(text) };
}

/** The first `count` events of a type, as soon as they have been told. */
async function told<T extends TransportEvent["type"]>(
  events: TransportEvent[],
  type: T,
  count: number,
): Promise<Extract<TransportEvent, { type: T }>[]> {
  const is = (one: TransportEvent): one is Extract<TransportEvent, { type: T }> => one.type === type;
  for (const deadline = performance.now() + 8000; events.filter(is).length < count; ) {
    if (performance.now() > deadline) throw new Error(`not ${count} ${type} within 8 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return events.filter(is);
}

async function event<T extends TransportEvent["type"]>(
  events: TransportEvent[],
  type: T,
): Promise<Extract<TransportEvent, { type: T }>> {
  const [first] = await told(events, type, 1);
  if (first === undefined) throw new Error(`no ${type}`);
  return first;
}

describe("frames of a foreign peer", () => {
  it("in binary end the connection with bad-frame", async () => {
    const { events, url } = await listen();
    const ws = await foreign(url);
    ws.send(Buffer.from("{}"));
    const { code, text } = await closed(ws);
    expect(code).toBe(4000);
    expect(JSON.parse(text)).toMatchObject({ code: "bad-frame" });
    expect((await event(events, "conn-down")).reason.code).toBe("bad-frame");
    expect(events.some((one) => one.type === "conn-frame")).toBe(false);
  });

  it.each([
    ["one character too many", MAX_FRAME_CHARS + 1],
    ["more than is even received", 3 * MAX_FRAME_CHARS + 1],
  ])("with %s end it with frame-too-large", async (_, chars) => {
    const { events, url } = await listen();
    const ws = await foreign(url);
    ws.on("error", () => {});
    ws.send("x".repeat(chars));
    expect((await event(events, "conn-down")).reason.code).toBe("frame-too-large");
    expect(events.some((one) => one.type === "conn-frame")).toBe(false);
  });

  it.each([
    ["text that is not UTF-8", Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28])],
    ["reserved bits", Buffer.from([0xf1, 0x80, 0, 0, 0, 0])],
    ["no mask", Buffer.from([0x81, 0x01, 0x41])],
  ])("with %s end it with bad-frame", async (_, bytes) => {
    const { events, port } = await listen();
    const socket = upgrade(port);
    await once(socket, "data");
    // The answer is a close frame; the reply to it is left out.
    socket.once("data", () => socket.destroy());
    socket.write(bytes);
    expect((await event(events, "conn-down")).reason.code).toBe("bad-frame");
  });
});

describe("the end of a foreign peer", () => {
  it.each([
    ["closes without a reason", (ws: WebSocket) => ws.close(), "closed"],
    ["closes with words that are not ours", (ws: WebSocket) => ws.close(4000, "nope"), "closed"],
    ["closes for a frame of ours", (ws: WebSocket) => ws.close(1009), "frame-too-large"],
    ["closes with a reason", (ws: WebSocket) => ws.close(4000, '{"code":"x","message":"y"}'), "x"],
    ["vanishes", (ws: WebSocket) => ws.terminate(), "connection-lost"],
  ])("that %s is told as such", async (_, end, code) => {
    const { events, url } = await listen();
    end(await foreign(url));
    const { reason } = await event(events, "conn-down");
    expect(reason.code).toBe(code);
    expect(reason.message).not.toBe("");
  });

  it("by reset carries the system's words", async () => {
    const { events, port } = await listen();
    const socket = upgrade(port);
    await event(events, "conn-up");
    socket.resetAndDestroy();
    const { reason } = await event(events, "conn-down");
    expect(reason).toEqual({ code: "connection-lost", message: expect.stringContaining("ECONNRESET") });
  });
});

describe("the listener", () => {
  it("takes twenty connections at once and drops the rest", async () => {
    const { port } = await listen();
    const sockets = Array.from({ length: 60 }, () => dropped(port));
    // Those that were accepted are answered 426, the others see the end without a byte.
    const answered = (await Promise.all(sockets)).filter((text) => text.startsWith("HTTP/1.1 426"));
    expect(answered.length).toBeGreaterThanOrEqual(20);
    // More than 20 only as far as 50 ms each went by meanwhile.
    expect(answered.length).toBeLessThan(40);
  });

  it.each([
    ["another path", "/", {}, 400],
    ["a browser's page", "/weave", { origin: "http://evil.example" }, 403],
  ])("refuses %s", async (_, path, headers, status) => {
    const { port, events } = await listen();
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
    const [error]: unknown[] = await once(ws, "error");
    expect(String(error)).toContain(String(status));
    expect(events).toEqual([]);
  });

  it("answers plain HTTP with what it wants, and hangs up", async () => {
    const { port } = await listen();
    const call = request({ port, host: "127.0.0.1", path: "/weave" }).end();
    const [response] = await once(call, "response");
    expect(response).toMatchObject({
      statusCode: 426,
      headers: { connection: "close", upgrade: "websocket" },
    });
  });

  it("drops a caller that says nothing", async () => {
    const { port } = await listen();
    const socket = connect(port, "127.0.0.1");
    socket.resume();
    await once(socket, "connect");
    await once(socket, "close");
  });

  it("survives a caller that breaks off in the middle of the upgrade", async () => {
    const { port, url } = await listen();
    for (let i = 0; i < 10; i++) {
      const socket = upgrade(port);
      await once(socket, "connect");
      socket.resetAndDestroy();
    }
    expect((await foreign(url)).readyState).toBe(WebSocket.OPEN);
  });

  it("says which option to change when the port is in use", async () => {
    const { port } = await listen();
    await expect(createWsTransport({ port, log: quiet })).rejects.toMatchObject({
      code: "port-in-use",
      hint: expect.stringContaining("--port"),
    });
  });

  it("says which option to change when the address is not one of this host", async () => {
    // TEST-NET-1 (RFC 5737) is nobody's.
    await expect(createWsTransport({ host: "192.0.2.1", port: 0, log: quiet })).rejects.toMatchObject({
      code: "bad-address",
      hint: expect.stringContaining("--host"),
    });
  });
});

describe("addresses", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["[::1]", "::1"],
    ["localhost", expect.stringMatching(/^(127\.0\.0\.1|::1)$/)],
  ])("dialled as %s, without an address to listen on, are told plainly", async (host, address) => {
    const { bob, events, port } = await listen();
    expect(bob.address.host).toBe("::");
    bob.dial(1, `${host}:${port}`);
    for (const up of await told(events, "conn-up", 2))
      expect(up).toMatchObject({ remoteAddress: address, localAddress: address });
  });

  it("default to the port that is listened on", async () => {
    const { bob, events, port } = await listen("127.0.0.1");
    bob.dial(1, "127.0.0.1");
    const ups = await told(events, "conn-up", 2);
    expect(ups.find((up) => up.dial === 1)).toMatchObject({ remotePort: port });
  });
});

describe("a dial", () => {
  it("to a host that says nothing, or byte by byte for ever, is given up after 5 s", async () => {
    const targets = [await stranger(() => {}), await stranger(drip)];
    const { bob, events } = await listen();
    const started = performance.now();
    targets.forEach((port, dial) => {
      bob.dial(dial, `127.0.0.1:${port}`);
    });
    for (const failed of await told(events, "dial-failed", 2)) expect(failed.message).toContain("5 s");
    expect(performance.now() - started).toBeGreaterThan(4900);
  });

  it("to something that is no peer says so", async () => {
    const port = await stranger((socket) => socket.end("HTTP/1.1 404 Not Found\r\n\r\n"));
    const { bob, events } = await listen();
    bob.dial(1, `127.0.0.1:${port}`);
    expect((await event(events, "dial-failed")).message).toContain("404");
  });

  it("sends its frames under the mask of 0, which costs neither end anything", async () => {
    const there = await listen();
    const sent: Buffer[] = [];
    const port = await stranger((socket) => {
      const onward = connect(there.port, "127.0.0.1");
      onward.on("error", () => {});
      socket.on("data", (data: Buffer) => sent.push(data));
      socket.pipe(onward).pipe(socket);
    });
    const { bob, events } = await listen();
    bob.dial(1, `127.0.0.1:${port}`);
    bob.send((await event(events, "conn-up")).conn, '{"t":"ping"}', { ack: false });
    expect((await event(there.events, "conn-frame")).text).toBe('{"t":"ping"}');
    // FIN and text; masked, 12 bytes; the mask (RFC 6455 section 5.2).
    const frame = Buffer.concat([Buffer.from([0x81, 0x8c, 0, 0, 0, 0]), Buffer.from('{"t":"ping"}')]);
    expect(Buffer.concat(sent).includes(frame)).toBe(true);
  });

  it("that nobody takes says why", async () => {
    const { bob, events } = await listen();
    // Both addresses of localhost are tried; the words of each are kept.
    bob.dial(1, "localhost:1");
    expect((await event(events, "dial-failed")).message).toContain("ECONNREFUSED");
  });
});

/** A raw TCP connection that has asked for the upgrade. */
function upgrade(port: number): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  closing.push(() => socket.destroy());
  socket.write(
    [
      "GET /weave HTTP/1.1",
      "Host: bob",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
      "\r\n",
    ].join("\r\n"),
  );
  return socket;
}

/** What a plain HTTP caller is told before the connection ends. */
async function dropped(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  closing.push(() => socket.destroy());
  let text = "";
  socket.on("error", () => {});
  socket.on("data", (data: Buffer) => {
    text += data.toString();
  });
  socket.write("GET / HTTP/1.1\r\nHost: bob\r\n\r\n");
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

/** A listener that is no peer. */
async function stranger(behave: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    behave(socket);
  });
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has an address object");
  return address.port;
}

function drip(socket: Socket): void {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nX: ");
  const timer = setInterval(() => socket.write("x"), 100);
  socket.on("close", () => clearInterval(timer));
}
