// The bundled program as a process of its own, with a stand-in for weaver beside it.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { standInDaemon, temporaryDirectory } from "./testing/harness.ts";
import { healthy } from "./testing/statuses.ts";

const directory = temporaryDirectory();
const programs = join(directory.path, "bin");
const program = join(programs, "weave");

beforeAll(async () => {
  mkdirSync(programs);
  writeFileSync(join(directory.path, "package.json"), '{"type":"module"}');
  writeFileSync(join(programs, "weave-net"), "a plugin");
  await build({
    entryPoints: [new URL("main.ts", import.meta.url).pathname],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    define: { WEAVE_VERSION: '"0.1.0"' },
    mainFields: ["module", "main"],
    banner: {
      js: '#!/usr/bin/env node\nimport { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  chmodSync(program, 0o755);
});

afterAll(() => directory.remove());

/** Replaces the stand-in; `script` may use `stay()`. */
function weaver(script: string): void {
  writeFileSync(join(programs, "weaver"), `const stay = () => setInterval(() => {}, 1000);\n${script}\n`);
}

const ENV = { ...process.env, WEAVE_DEBUG: "" };

function weave(
  words: string[],
  env: NodeJS.ProcessEnv = {},
): { stdout: string; stderr: string; code: number | null } {
  const { stdout, stderr, status } = spawnSync(program, words, {
    cwd: "/",
    env: { ...ENV, ...env },
    encoding: "utf8",
    timeout: 8000,
  });
  return { stdout, stderr, code: status };
}

test("finds the other programs through a link in PATH, from any directory", () => {
  for (const name of ["cni", "links"]) mkdirSync(join(directory.path, name));
  symlinkSync(program, join(directory.path, "links/weave"));
  const { path } = directory;
  const words = [
    "setup",
    "--cni-bin-dir",
    "cni",
    "--cni-conf-dir",
    "cni",
    "--data-dir",
    "data",
    "--run-dir",
    "run",
  ];
  const { status, stderr } = spawnSync(join(path, "links/weave"), words, {
    cwd: path,
    env: ENV,
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(readFileSync(join(path, "cni/weave-net"), "utf8")).toBe("a plugin");
  expect(readFileSync(join(path, "cni/weave-plugin-0.1.0.socket"), "utf8")).toBe(`${path}/run/weave.sock\n`);
});

test("a reader that goes away is no error", () => {
  const { stderr } = spawnSync("sh", ["-c", `${program} --help | true`], { encoding: "utf8", env: ENV });
  expect(stderr).toBe("");
});

test("a stack only with WEAVE_DEBUG", () => {
  const words = ["connect", "host1", "--run-dir", "/nonexistent/run"];
  expect(weave(words).stderr).not.toMatch(/^\s+at /m);
  expect(weave(words, { WEAVE_DEBUG: "1" }).stderr).toMatch(/^\s+at /m);
});

describe("launch", () => {
  beforeEach((context) => {
    if (process.getuid?.() !== 0) context.skip("weave launch needs root");
  });

  const runDir = join(directory.path, "r");
  const words = ["launch", "--run-dir", runDir, "--data-dir", join(directory.path, "d")];
  const ready = {
    kind: "ready",
    name: "7a:01",
    nickname: "alice",
    socket: "/s",
    pid: 7,
    warnings: ["mind the gap"],
  };
  const pidFile = join(directory.path, "pid");

  test("in the background: one line, warnings apart, and it returns while weaver runs on", () => {
    weaver(`
      import { writeFileSync } from "node:fs";
      writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));
      process.send(${JSON.stringify(ready)});
      stay();`);
    expect(weave(words)).toEqual({
      stdout: "weaver is running: peer 7a:01 (alice), socket /s\n",
      stderr: "weave: warning: mind the gap\n",
      code: 0,
    });
    process.kill(Number(readFileSync(pidFile, "utf8"))); // fails if it does not run
    const { kind: _, ...rest } = ready;
    expect(JSON.parse(weave([...words, "--json"]).stdout)).toEqual(rest);
    process.kill(Number(readFileSync(pidFile, "utf8")));
  });

  test("under systemd weaver speaks into the journal, and there is no log file", () => {
    const journal = join(directory.path, "journal");
    const fd = openSync(journal, "a");
    const { dev, ino } = fstatSync(fd);
    weaver(`console.error("spoken"); process.send(${JSON.stringify(ready)}, () => process.exit(0));`);
    const fresh = [
      "launch",
      "--run-dir",
      join(directory.path, "rj"),
      "--data-dir",
      join(directory.path, "d"),
    ];
    const { status } = spawnSync(program, fresh, {
      env: { ...ENV, JOURNAL_STREAM: `${dev}:${ino}` },
      stdio: ["ignore", "pipe", fd],
    });
    closeSync(fd);
    expect(status).toBe(0);
    expect(readFileSync(journal, "utf8")).toContain("spoken\n");
    expect(existsSync(join(directory.path, "rj/weaver.log"))).toBe(false);
  });

  test("a failure has message, hint and exit code of its own", () => {
    weaver(
      `process.send({ kind: "failed", code: "range-overlap", message: "it overlaps", hint: "choose another" });`,
    );
    expect(weave(words)).toEqual({ stdout: "", stderr: "weave: it overlaps\n  choose another\n", code: 1 });
  });

  test("a second one is refused, naming who runs", async () => {
    weaver(`throw new Error("must not be started");`);
    const daemon = await standInDaemon(runDir, { "/v1/status": [200, healthy] });
    const child = start(words);
    let stderr = "";
    child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    expect(await exit(child)).toBe(1);
    await daemon.close();
    expect(stderr.replace(/\s+/g, " ")).toContain(
      `weave: weaver is already running: peer 7a:01:02:03:04:05 (alice), process 4711, socket ${runDir}/weave.sock`,
    );
  });

  test.each([
    ["process.exit(3);", 3],
    ['process.kill(process.pid, "SIGKILL"); stay();', 137],
  ])("in front: its exit code is ours (%s)", (script, code) => {
    weaver(script);
    expect(weave([...words, "--foreground"]).code).toBe(code);
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "in front: %s reaches weaver once, also from a terminal",
    async (signal) => {
      // The whole process group gets the signal, as from Ctrl-C.
      weaver(`
      const seen = [];
      for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => {
        seen.push(signal);
        setTimeout(() => { console.log(seen.join()); process.exit(0); }, 200);
      });
      console.log("up");
      stay();`);
      const child = start([...words, "--foreground"], true);
      let stdout = "";
      const up = new Promise<void>((resolve) => {
        child.stdout?.on("data", (chunk: Buffer) => {
          stdout += chunk.toString();
          resolve();
        });
      });
      await up;
      process.kill(-(child.pid ?? 0), signal);
      expect(await exit(child)).toBe(0);
      expect(stdout).toBe(`up\n${signal === "SIGHUP" ? "SIGTERM" : signal}\n`);
    },
  );

  test("interrupted while waiting: the daemon that was starting goes, too", async () => {
    weaver(`
      import { writeFileSync } from "node:fs";
      process.on("SIGTERM", () => { writeFileSync(${JSON.stringify(`${pidFile}.gone`)}, ""); process.exit(0); });
      writeFileSync(${JSON.stringify(`${pidFile}.up`)}, "");
      stay();`);
    const child = start(words);
    await expect.poll(() => existsSync(`${pidFile}.up`), { timeout: 5000 }).toBe(true);
    child.kill("SIGINT");
    expect(await exit(child)).toBe(130);
    await expect.poll(() => existsSync(`${pidFile}.gone`), { timeout: 5000 }).toBe(true);
  });
});

function start(words: string[], detached = false): ChildProcess {
  return spawn(program, words, { cwd: "/", env: ENV, stdio: ["ignore", "pipe", "pipe"], detached });
}

function exit(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once("close", resolve));
}
