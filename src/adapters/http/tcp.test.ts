// The two TCP listeners, called as curl, a probe, Prometheus and a browser would.
import { createConnection, createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { serveControlOnTcp } from "./control-tcp.ts";
import { type ReadOnlyHandlers, serveReadOnly } from "./read-only.ts";
import { handlers as controlHandlers } from "./testing/handlers.ts";
import { status } from "./testing/status.ts";

const silent = (): void => {};
const log = { debug: silent, info: silent, warn: silent, error: silent };
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A port nobody has at this moment. */
async function freePort(): Promise<number> {
  const server = await listening(0);
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function listening(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

describe("the status listener", () => {
  let ready = true;
  const report = {
    ...status,
    targets: [],
    holders: [],
    faults: [],
    process: { node: "v20", uptimeSeconds: 1, residentBytes: 1, heapBytes: 1 },
  };
  const handlers: ReadOnlyHandlers = {
    status: () => status,
    report: async () => report,
    metrics: async () => ({ type: "text/plain; version=0.0.4", text: "# metrics\n" }),
    isReady: () => ready,
    render: (_status, section) => `OK ${section ?? "summary"}`,
    sections: ["peers"],
  };

  async function serve(): Promise<string> {
    const port = await freePort();
    const server = await serveReadOnly({ host: "127.0.0.1", port }, handlers, log);
    closers.push(() => server.close());
    return `http://127.0.0.1:${port}`;
  }

  it("answers text to people and JSON to who accepts it", async () => {
    const base = await serve();
    const text = await fetch(`${base}/status`);
    expect([text.status, await text.text()]).toEqual([200, "OK summary\n"]);
    expect(text.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await (await fetch(`${base}/status/peers`)).text()).toBe("OK peers\n");
    const headers = { accept: "application/json" };
    expect(await (await fetch(`${base}/status`, { headers })).json()).toMatchObject({ ok: true, pid: 1 });
    expect(Object.keys(Object(await (await fetch(`${base}/status/peers`, { headers })).json()))).toEqual([
      "ok",
      "problems",
      "peers",
    ]);
    expect(await (await fetch(`${base}/report`)).json()).toMatchObject({ targets: [] });
    expect(await (await fetch(`${base}/metrics`)).text()).toBe("# metrics\n");
  });

  it("says 503 with the same body until it is ready", async () => {
    ready = false;
    const answer = await fetch(`${await serve()}/status`);
    ready = true;
    expect([answer.status, await answer.text()]).toEqual([503, "OK summary\n"]);
  });

  it("changes nothing and has nothing else", async () => {
    const base = await serve();
    expect((await fetch(`${base}/status`, { method: "POST" })).status).toBe(405);
    expect((await fetch(`${base}/v1/stop`, { method: "POST" })).status).toBe(404);
    expect((await fetch(`${base}/v1/status`)).status).toBe(404);
  });

  it("says who has its port, and leaves nothing behind", async () => {
    const other = await listening(0);
    closers.push(() => new Promise((resolve) => other.close(resolve)));
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await expect(serveReadOnly({ host: "127.0.0.1", port }, handlers, log)).rejects.toMatchObject({
      code: "port-in-use",
      message: `another process listens on 127.0.0.1:${port}`,
    });
    await expect(serveReadOnly({ host: "192.0.2.77", port: 1 }, handlers, log)).rejects.toMatchObject({
      code: "bad-address",
    });
  });
});

describe("the control API on TCP", () => {
  it("is for programs of this host, not for pages in its browsers", async () => {
    const port = await freePort();
    const server = await serveControlOnTcp({ host: "127.0.0.1", port }, controlHandlers, log);
    closers.push(() => server.close());
    const base = `http://127.0.0.1:${port}`;
    expect(await (await fetch(`${base}/v1/stop`, { method: "POST" })).json()).toEqual({ pid: 42 });
    const page = { headers: { origin: "http://evil.example" }, method: "POST" };
    expect((await fetch(`${base}/v1/stop`, page)).status).toBe(400);
    const rebound = await rawGet(port, "evil.example");
    expect(rebound).toMatch(/^HTTP\/1\.1 400/);
    expect(await rawGet(port, "localhost")).toMatch(/^HTTP\/1\.1 200/);
  });
});

/** `fetch` does not let a caller choose the name. */
function rawGet(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(port, "127.0.0.1");
    let text = "";
    connection.on("data", (chunk: Buffer) => (text += chunk.toString()));
    connection.on("error", reject);
    connection.on("close", () => resolve(text));
    connection.write(`GET /v1/status HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
}
