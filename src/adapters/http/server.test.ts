import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WeaveError } from "../../core/errors.ts";
import { type ControlHandlers, serveControl } from "./server.ts";
import { handlers } from "./testing/handlers.ts";
import { status } from "./testing/status.ts";

let parent: string;
let socket: string;
let server: { close(): Promise<void> } | undefined;
const logged: string[] = [];
const silent = (): void => {};
const log = { debug: silent, info: silent, warn: silent, error: (text: string) => logged.push(text) };

async function serve(own: Partial<ControlHandlers> = {}): Promise<void> {
  server = await serveControl(socket, { ...handlers, ...own }, log);
}

interface Answer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly progress: readonly number[];
}

function call(
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
): { answer: Promise<Answer>; hangUp(): void; progress: number[] } {
  const progress: number[] = [];
  const type = body === undefined ? {} : { "content-type": "application/json" };
  const sent = httpRequest({ socketPath: socket, method, path, headers: { ...type, ...headers } });
  const answer = new Promise<Answer>((resolve, reject) => {
    sent.on("information", ({ statusCode }) => progress.push(statusCode));
    sent.on("error", reject);
    sent.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () =>
        resolve({ code: response.statusCode ?? 0, headers: response.headers, text, progress }),
      );
    });
  });
  sent.end(body);
  return { answer, hangUp: () => sent.destroy(), progress };
}

const post = (path: string, body: unknown): Promise<Answer> =>
  call("POST", path, JSON.stringify(body)).answer;
const parsed = async (answer: Promise<Answer>): Promise<unknown> => {
  const { code, text } = await answer;
  return { status: code, ...JSON.parse(text) };
};

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "weave-http-"));
  socket = join(parent, "run", "weave.sock");
  logged.length = 0;
});

afterEach(async () => {
  vi.useRealTimers();
  await server?.close();
  server = undefined;
  rmSync(parent, { recursive: true });
});

describe("the socket", () => {
  it("is for root alone: directory 0700, socket 0600, and the process's umask is what it was", async () => {
    const umask = process.umask();
    await serve();
    expect(statSync(join(parent, "run")).mode & 0o777).toBe(0o700);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(umask);
  });

  it("closes a directory that somebody left open", async () => {
    mkdirSync(join(parent, "run"), { mode: 0o755 });
    await serve();
    expect(statSync(join(parent, "run")).mode & 0o777).toBe(0o700);
  });

  it("takes the place of one that a dead daemon left", async () => {
    mkdirSync(join(parent, "run"));
    const dead = createServer().listen(socket);
    await new Promise((resolve) => dead.once("listening", resolve));
    await serve();
    expect((await call("GET", "/v1/status").answer).code).toBe(200);
    await new Promise((resolve) => dead.close(resolve));
  });

  it("is gone after close, which does not wait for callers that hold on", async () => {
    await serve({ cni: () => new Promise(() => {}) });
    const idle = createConnection(socket);
    await new Promise((resolve) => idle.once("connect", resolve));
    const { answer } = call("POST", "/v1/cni", "{}");
    const cut = expect(answer).rejects.toThrow(/socket hang up|ECONNRESET/);
    await vi.waitFor(async () => expect((await call("GET", "/v1/status").answer).code).toBe(200));
    await server?.close();
    server = undefined;
    await cut;
    idle.destroy();
    expect(existsSync(socket)).toBe(false);
  });
});

describe("routes", () => {
  it("answer with what the daemon says", async () => {
    const heard: unknown[] = [];
    await serve({
      connect: async (peers, replace) => {
        heard.push(peers, replace);
        return { targets: ["bob"] };
      },
      expose: async (wish, masquerade) => {
        heard.push(wish, masquerade);
        return { addresses: ["10.32.0.1/12"] };
      },
    });
    expect(await parsed(call("GET", "/v1/status").answer)).toEqual({ status: 200, ...status });
    expect(await parsed(post("/v1/connect", { peers: ["bob"], replace: true }))).toEqual({
      status: 200,
      targets: ["bob"],
    });
    expect(await parsed(post("/v1/expose", { addresses: [], masquerade: false }))).toEqual({
      status: 200,
      addresses: ["10.32.0.1/12"],
    });
    expect(await parsed(post("/v1/stop", {}))).toEqual({ status: 200, pid: 42 });
    expect(heard).toEqual([["bob"], true, { addresses: [], subnets: [] }, false]);
  });

  it.each([
    ["not JSON", "POST", "/v1/connect", "{", 400, /JSON/],
    ["nothing", "POST", "/v1/connect", undefined, 400, /does not parse/],
    ["a field too few", "POST", "/v1/connect", '{"peers":[]}', 400, /does not parse: replace/],
    ["a field too many", "POST", "/v1/connect", '{"peers":[],"replace":true,"x":1}', 400, /does not parse/],
    ["an empty peer", "POST", "/v1/connect", '{"peers":[""],"replace":true}', 400, /peers\.0/],
    [
      "too many addresses",
      "POST",
      "/v1/expose",
      JSON.stringify({ addresses: Array(17).fill(""), masquerade: true }),
      400,
      /addresses/,
    ],
    ["an unknown path", "GET", "/v1/later", undefined, 400, /no such path: GET \/v1\/later/],
    ["a known path by another method", "DELETE", "/v1/status", undefined, 400, /no such path: DELETE/],
  ])("refuse %s", async (_, method, path, body, code, message) => {
    await serve();
    expect(await parsed(call(method, path, body).answer)).toMatchObject({
      status: code,
      code: "bad-request",
      message: expect.stringMatching(message),
    });
    expect(logged).toEqual([]);
  });

  it("refuse a body that is no JSON by its type, and one beyond the limit", async () => {
    await serve();
    const xml = call("POST", "/v1/connect", "<x/>", { "content-type": "text/xml" }).answer;
    expect(await parsed(xml)).toMatchObject({ status: 415, code: "bad-request" });
    const large = call("POST", "/v1/cni", JSON.stringify("x".repeat(21 << 20))).answer;
    expect(await parsed(large)).toMatchObject({ status: 413, code: "bad-request" });
  });

  it.each([
    ["bad-request", 400],
    ["bad-address", 400],
    ["mtu-invalid", 400],
    ["unknown-attachment", 404],
    ["address-taken", 409],
    ["address-elsewhere", 409],
    ["no-ring", 503],
    ["range-exhausted", 503],
    ["timeout", 504],
    ["kernel", 500],
    ["storage", 500],
  ] as const)("turn %s into %i, with its words and its hint", async (code, http) => {
    await serve({ expose: () => Promise.reject(new WeaveError(code, "no", { hint: "do this" })) });
    expect(await parsed(post("/v1/expose", { addresses: [], masquerade: true }))).toEqual({
      status: http,
      code,
      message: "no",
      hint: "do this",
    });
    expect(logged).toEqual([]);
  });

  it("leave out a hint that is none, and log what is a bug", async () => {
    await serve({ connect: () => Promise.reject(new WeaveError("timeout", "late")) });
    expect(await parsed(post("/v1/connect", { peers: [], replace: false }))).toEqual({
      status: 504,
      code: "timeout",
      message: "late",
    });
    expect(await parsed(post("/v1/expose", { addresses: [], masquerade: true }))).toEqual({
      status: 500,
      code: "internal",
      message: "a bug",
    });
    expect(logged).toEqual(["control API failed on a bug"]);
  });
});

describe("a CNI call", () => {
  it("gets the plugin's bytes as they are, and its exit code in a header", async () => {
    const heard: unknown[] = [];
    await serve({
      cni: async (body) => {
        heard.push(body);
        return { exit: 7, stdout: '{ "code": 7 }\n' };
      },
    });
    const answer = await post("/v1/cni", { env: {}, stdin: "é" });
    expect(answer).toMatchObject({ code: 200, text: '{ "code": 7 }\n' });
    expect(answer.headers["weave-exit"]).toBe("7");
    expect(heard).toEqual([{ env: {}, stdin: "é" }]);
  });

  it("has what goes to stderr in front of its body, and how many bytes that is in a header", async () => {
    await serve({ cni: async () => ({ exit: 0, stdout: "{}", stderr: "ü\n" }) });
    const { text, headers } = await post("/v1/cni", {});
    expect({ text, bytes: headers["weave-warnings"] }).toEqual({ text: "ü\n{}", bytes: "3" });
    await server?.close();
    await serve({ cni: async () => ({ exit: 0, stdout: "{}", stderr: "" }) });
    expect((await post("/v1/cni", {})).headers).not.toHaveProperty("weave-warnings");
  });

  it("that takes long gets a sign of life every two seconds, and none after its answer", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    let finish = (): void => {};
    const begun = new Promise<void>((resolve) => {
      void serve({
        cni: () => {
          resolve();
          return new Promise((done) => (finish = () => done({ exit: 0, stdout: "" })));
        },
      }).then(() => (pending = call("POST", "/v1/cni", "{}")));
    });
    let pending: ReturnType<typeof call> | undefined;
    await begun;
    vi.advanceTimersByTime(1_999);
    vi.advanceTimersByTime(1);
    vi.advanceTimersByTime(4_000);
    await vi.waitFor(() => expect(pending?.progress).toEqual([102, 102, 102]));
    finish();
    expect(await pending?.answer).toMatchObject({ code: 200, progress: [102, 102, 102] });
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(["/v1/cni", "/v1/expose"])("%s: is told when its caller hangs up", async (path) => {
    let heard: AbortSignal | undefined;
    const wait = (signal: AbortSignal): Promise<never> => {
      heard = signal;
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(new WeaveError("cancelled", "the caller went away"))),
      );
    };
    await serve({
      cni: (_, signal) => wait(signal),
      expose: (_addresses, _masquerade, signal) => wait(signal),
    });
    const body = path === "/v1/cni" ? {} : { addresses: [], masquerade: true };
    const { answer, hangUp } = call("POST", path, JSON.stringify(body));
    answer.catch(() => {});
    await vi.waitFor(() => expect(heard).toBeDefined());
    expect(heard?.aborted).toBe(false);
    hangUp();
    await vi.waitFor(() => expect(heard?.aborted).toBe(true));
    expect((await call("GET", "/v1/status").answer).code).toBe(200);
    expect(logged).toEqual([]);
  });

  it("that was answered is not aborted when its caller closes", async () => {
    let heard: AbortSignal | undefined;
    await serve({
      cni: async (_, signal) => {
        heard = signal;
        return { exit: 0, stdout: "" };
      },
    });
    const { answer, hangUp } = call("POST", "/v1/cni", "{}");
    await answer;
    hangUp();
    await call("GET", "/v1/status").answer; // the server has seen the end of the first
    expect(heard?.aborted).toBe(false);
  });
});
