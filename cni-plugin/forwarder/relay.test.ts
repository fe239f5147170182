// The forwarder and a daemon that answers, answers badly, works slowly or hangs.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  bootMs,
  buildForwarder,
  CONFIG,
  ENVIRONMENT,
  type Forwarder,
  type Run,
  respond,
  run,
  runDelayed,
  type StandInDaemon,
  standInDaemon,
} from "../testing/forwarder.ts";

let forwarder: Forwarder;
beforeAll(() => {
  forwarder = buildForwarder();
});
afterAll(() => forwarder.remove());

/** Runs `use` beside a stand-in daemon with the given answer. */
async function beside<T>(
  answer: Parameters<typeof standInDaemon>[1],
  use: (
    daemon: StandInDaemon,
    call: (env?: Record<string, string>, stdin?: string) => Promise<Run>,
  ) => Promise<T>,
): Promise<T> {
  const daemon = await standInDaemon(forwarder.dir, answer);
  const call = (env: Record<string, string> = {}, stdin: string = CONFIG): Promise<Run> =>
    run([join(forwarder.dir, "weave-net")], { ...ENVIRONMENT, WEAVE_SOCKET: daemon.socket, ...env }, stdin);
  try {
    return await use(daemon, call);
  } finally {
    await daemon.close();
  }
}

describe("what is relayed", () => {
  test("the answer, byte for byte, and its exit code", async () => {
    const stdout = '{"näme":"\\u0000"}\n\n  \t';
    await beside(
      (response) => respond(response, 7, stdout),
      async (_, call) => expect(await call()).toMatchObject({ exit: 7, stdout, stderr: "" }),
    );
  });

  test("an empty answer of success", async () => {
    await beside(
      (response) => respond(response, 0, ""),
      async (_, call) =>
        expect(await call({ CNI_COMMAND: "DEL" })).toMatchObject({ exit: 0, stdout: "", stderr: "" }),
    );
  });

  test("warnings to stderr before the answer to stdout", async () => {
    const [stdout, stderr] = ['{"ä":1}', "weave-net: ü\nweave-net: two\n"];
    await beside(
      (response) => respond(response, 3, stdout, stderr),
      async (_, call) => expect(await call()).toMatchObject({ exit: 3, stdout, stderr }),
    );
  });

  test("the answer, when nobody reads the warnings", async () => {
    const plugin = join(forwarder.dir, "weave-net");
    let child: ChildProcessWithoutNullStreams | undefined;
    await beside(
      async (response) => {
        child?.stderr.destroy();
        await once(child?.stderr ?? response, "close");
        respond(response, 3, "answer", "warning");
      },
      async (daemon) => {
        child = spawn(plugin, { env: { ...ENVIRONMENT, WEAVE_SOCKET: daemon.socket } });
        child.stdin.end(CONFIG);
        const [stdout, [exit]] = await Promise.all([text(child.stdout), once(child, "close")]);
        expect({ exit, stdout }).toEqual({ exit: 3, stdout: "answer" });
      },
    );
  });

  test("program, CNI variables and stdin, and nothing else", async () => {
    const stdin = '{"name":"n","x":"tab\\t \\"q\\" \\\\ ü 😀 \u007f",\r\n\t"y":1}';
    const args = 'K8S_POD_NAME=a"b\\c\u0001\u001fü';
    await beside(
      (response) => respond(response, 0, ""),
      async (daemon, call) => {
        await call({ CNI_ARGS: args, CNI_NETNS_OVERRIDE: "1", SECRET: "x", CNIX: "y" }, stdin);
        const { PATH: _, ...cni } = ENVIRONMENT;
        expect(daemon.requests).toEqual([
          {
            program: "weave-net",
            env: { ...cni, CNI_ARGS: args, CNI_NETNS_OVERRIDE: "1" },
            stdin,
            pid: expect.any(Number),
            bootMs: expect.any(Number),
            netnsFd: expect.any(Number),
          },
        ]);
        await run([join(forwarder.dir, "weave-ipam")], { ...ENVIRONMENT, WEAVE_SOCKET: daemon.socket });
        expect(daemon.requests[1]).toMatchObject({ program: "weave-ipam" });
        expect(daemon.requests[1]).not.toHaveProperty("netnsFd");
      },
    );
  });

  test("when the call was made, however slowly its configuration arrives", async () => {
    await beside(
      (response) => respond(response, 0, ""),
      async (daemon) => {
        const before = bootMs();
        const delayed = await runDelayed(join(forwarder.dir, "weave-net"), {
          ...ENVIRONMENT,
          WEAVE_SOCKET: daemon.socket,
        });
        expect(delayed.exit).toBe(0);
        expect(daemon.requests[0]?.["bootMs"]).toBeGreaterThanOrEqual(before);
        expect(daemon.requests[0]?.["bootMs"]).toBeLessThanOrEqual(delayed.waitingAt);
      },
    );
  });

  test("a large configuration and a large answer", async () => {
    const stdin = `{"name":"n","x":"${"\\n".repeat(3_000_000)}"}`;
    const stdout = "a".repeat(3_000_000);
    await beside(
      (response) => respond(response, 0, stdout),
      async (daemon, call) => {
        expect((await call({}, stdin)).stdout).toBe(stdout);
        expect(daemon.requests[0]?.["stdin"]).toBe(stdin);
      },
    );
  });

  test("an open handle of CNI_NETNS, whatever its path looks like", async () => {
    const folder = join(forwarder.dir, "in a", "deep place");
    mkdirSync(folder, { recursive: true });
    const path = join(folder, "netns");
    writeFileSync(path, "");
    await beside(
      (response, _, body) => {
        const held = statSync(`/proc/${body["pid"]}/fd/${body["netnsFd"]}`);
        respond(response, 0, String(held.ino));
      },
      async (_, call) => expect((await call({ CNI_NETNS: path })).stdout).toBe(String(statSync(path).ino)),
    );
  });

  test("why CNI_NETNS could not be opened", async () => {
    await beside(
      (response) => respond(response, 0, ""),
      async (daemon, call) => {
        await call({ CNI_NETNS: "/nonexistent/netns" });
        await call({ CNI_NETNS: "/dev/null/x" });
        expect(daemon.requests.map((request) => request["netnsError"])).toEqual(["ENOENT", "ENOTDIR"]);
        await call({ CNI_COMMAND: "DEL", CNI_NETNS: "/nonexistent/netns" });
        expect(daemon.requests[2]).not.toHaveProperty("netnsError");
      },
    );
  });
});

describe("where the socket is", () => {
  test("beside the real executable, as setup wrote it; WEAVE_SOCKET before that", async () => {
    const bin = join(forwarder.dir, "bin");
    mkdirSync(bin);
    copyFileSync(join(forwarder.dir, "weave-net"), join(bin, "weave-net-0.1.0"));
    symlinkSync("weave-net-0.1.0", join(bin, "weave-net"));
    const plugin = join(bin, "weave-net");
    expect((await run([plugin], ENVIRONMENT)).json["msg"]).toContain("/run/weave/weave.sock");
    writeFileSync(join(bin, "weave-net-0.1.0.socket"), "/nonexistent/set up/weave.sock\nrest\n");
    expect((await run([plugin], ENVIRONMENT)).json["msg"]).toContain("/nonexistent/set up/weave.sock");
    const env = { ...ENVIRONMENT, WEAVE_SOCKET: "/nonexistent/other.sock" };
    expect((await run([plugin], env)).json["msg"]).toContain("/nonexistent/other.sock");
  });
});

describe("a daemon that talks nonsense counts as away: code 11", () => {
  test.each<[string, Parameters<typeof standInDaemon>[1]]>([
    ["HTTP 500", (response) => void response.writeHead(500).end("{}")],
    ["lacks", (response) => void response.writeHead(200, { "content-length": 2 }).end("{}")],
    [
      "lacks",
      (response) =>
        void response.writeHead(200, { "weave-exit": "0", "transfer-encoding": "chunked" }).end("{}"),
    ],
    ["lacks", (response) => void response.writeHead(200, { "weave-exit": "256", "content-length": 0 }).end()],
    ["lacks", (response) => void response.writeHead(200, { "weave-exit": "-1", "content-length": 0 }).end()],
    ...["3", "-1", "", "1x"].map((warnings): [string, Parameters<typeof standInDaemon>[1]] => [
      "weave-warnings",
      (response) =>
        void response
          .writeHead(200, { "weave-exit": "0", "content-length": 2, "weave-warnings": warnings })
          .end("{}"),
    ]),
    ["without an answer", (_, request) => void request.socket.destroy()],
    [
      "without an answer",
      (_, request) =>
        void request.socket.end("HTTP/1.1 200 OK\r\nweave-exit: 0\r\nContent-Length: 5\r\n\r\n{}"),
    ],
    ["not speak HTTP", (_, request) => void request.socket.end("220 mail.example.org ESMTP\r\n\r\n")],
    ["without an answer", (_, request) => void request.socket.end("HTTP/1.1 102 Processing\r\n\r\n")],
  ])("%s", async (words, answer) => {
    await beside(answer, async (_, call) => {
      expect((await call()).json).toMatchObject({ code: 11, msg: expect.stringContaining(words) });
    });
  });
});

describe("time", () => {
  test("interim answers are passed over", async () => {
    await beside(
      (response) => {
        response.writeProcessing();
        response.writeProcessing();
        respond(response, 0, "done");
      },
      async (_, call) => expect(await call()).toMatchObject({ exit: 0, stdout: "done" }),
    );
  });

  test("STATUS of a daemon that hangs: code 50 within a second", async () => {
    await beside(
      () => undefined,
      async (_, call) => {
        const { json, ms } = await call({ CNI_COMMAND: "STATUS" });
        expect(json).toMatchObject({ code: 50, msg: expect.stringContaining("within 0.9 s") });
        // The second is the forwarder's; the rest is this machine being busy.
        expect(ms).toBeLessThan(2000);
      },
    );
  });

  test.concurrent("ADD gives up after 10 s without a sign of life: code 11", {
    timeout: 40_000,
  }, async () => {
    await beside(
      () => undefined,
      async (_, call) => {
        const { json, ms } = await call();
        expect(json).toMatchObject({ code: 11, msg: expect.stringContaining("within 10.0 s") });
        expect(ms).toBeGreaterThan(9900);
      },
    );
  });

  test.concurrent("ADD waits longer for a daemon that says it is at work", { timeout: 40_000 }, async () => {
    await beside(
      async (response) => {
        for (let i = 0; i < 4; i++) {
          response.writeProcessing();
          await new Promise((resolve) => setTimeout(resolve, 3000));
        }
        respond(response, 0, "late");
      },
      async (_, call) => {
        const { stdout, ms } = await call();
        expect(stdout).toBe("late");
        expect(ms).toBeGreaterThan(11_900);
      },
    );
  });

  test.concurrent("DEL of a daemon that hangs: done alone after 5 s, and journaled", {
    timeout: 40_000,
  }, async () => {
    await beside(
      () => undefined,
      async (daemon) => {
        // weave-ipam: no interface to delete, so no privilege is needed.
        const env = {
          ...ENVIRONMENT,
          CNI_COMMAND: "DEL",
          CNI_CONTAINERID: "hung",
          WEAVE_SOCKET: daemon.socket,
        };
        const { exit, stdout, ms } = await run([join(forwarder.dir, "weave-ipam")], env);
        expect({ exit, stdout }).toEqual({ exit: 0, stdout: "" });
        expect(ms).toBeGreaterThan(4900);
        expect(readdirSync(join(forwarder.dir, "journal"))).toHaveLength(1);
      },
    );
  });

  test("a forwarder that is killed hangs up", async () => {
    const { promise, resolve } = hangUp();
    let child: ReturnType<typeof spawn> | undefined;
    await beside(
      (_, request) => {
        request.socket.once("close", resolve);
        child?.kill("SIGKILL");
      },
      async (daemon) => {
        child = spawn(join(forwarder.dir, "weave-net"), {
          env: { ...ENVIRONMENT, WEAVE_SOCKET: daemon.socket },
        });
        child.stdin?.end(CONFIG);
        await promise;
      },
    );
  });
});

function hangUp(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
