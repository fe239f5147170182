import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WeaveError } from "../../../src/core/errors.ts";
import { temporaryDirectory } from "../testing/harness.ts";
import { launchInBackground } from "./background.ts";

const READY = { kind: "ready", name: "a", nickname: "alice", socket: "/s", pid: 7, warnings: ["w"] };

let directory: ReturnType<typeof temporaryDirectory>;
let told: string[];
/** Of the stand-in, to be ended if the test did not. */
let pid: () => number;

beforeEach(() => {
  directory = temporaryDirectory();
  told = [];
  pid = () => Number(readFileSync(join(directory.path, "pid"), "utf8"));
});

afterEach(() => {
  if (existsSync(join(directory.path, "pid")) && runs()) process.kill(pid(), "SIGKILL");
  directory.remove();
});

function runs(): boolean {
  try {
    return process.kill(pid(), 0);
  } catch {
    return false;
  }
}

/** Launches a stand-in for weaver that runs `script`, which may use `send`, `args` and `stay()`. */
function launch(script: string, patience?: { deadlineMs: number; progressAfterMs: number }) {
  const program = join(directory.path, "weaver.mjs");
  const prelude = `import { writeFileSync } from "node:fs";
    writeFileSync(${JSON.stringify(join(directory.path, "pid"))}, String(process.pid));
    const args = process.argv.slice(2), send = (m) => process.send(m), stay = () => setInterval(() => {}, 1000);`;
  writeFileSync(program, `${prelude}\n${script}\n`);
  const runDir = join(directory.path, "run/weave");
  const words = ["--name=a", "--", "host1"];
  return launchInBackground({ program, words }, runDir, { tell: (text) => told.push(text) }, patience);
}

async function failure(launching: Promise<unknown>): Promise<WeaveError> {
  const error = await launching.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof WeaveError) return error;
  throw new Error("expected a WeaveError", { cause: error });
}

describe("a weaver that gets ready", () => {
  test("is left running with its arguments, its log and its own session", async () => {
    const script = `console.log(args.join(" "), process.cwd()); send(${JSON.stringify(READY)}); stay();`;
    expect(await launch(script)).toEqual(READY);
    expect(told).toEqual([]);
    const log = join(directory.path, "run/weave/weaver.log");
    expect(readFileSync(log, "utf8")).toBe("--name=a -- host1 /\n");
    expect(statSync(log).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory.path, "run/weave")).mode & 0o777).toBe(0o700);
    expect(runs()).toBe(true);
    // Fields 5 and 6 of proc(5) stat: process group and session are its own.
    const fields = readFileSync(`/proc/${pid()}/stat`, "latin1")
      .replace(/^.*\) /, "")
      .split(" ");
    expect(fields.slice(2, 4)).toEqual([String(pid()), String(pid())]);
  });

  test("says its report although the channel closes with it", async () => {
    expect(await launch(`send(${JSON.stringify(READY)}); process.disconnect();`)).toEqual(READY);
  });
});

describe("a weaver that does not", () => {
  test("reports why", async () => {
    const report = {
      kind: "failed",
      code: "port-in-use",
      message: "port 6783 is in use",
      hint: "use --port",
    };
    expect(await launch(`send(${JSON.stringify(report)}); process.exitCode = 1;`)).toEqual(report);
  });

  test("reports why, at length, and ends at once", async () => {
    const report = { kind: "failed", code: "internal", message: "m".repeat(2_000_000) };
    const script = `process.send(${JSON.stringify(report)}, () => process.exit(1));`;
    expect(await launch(script)).toEqual(report);
  });

  test("ends: the exit code and what it wrote to the log in this launch", async () => {
    await launch(`console.log("of the launch before"); send(${JSON.stringify(READY)});`);
    const error = await failure(launch(`console.error("this", "is why"); process.exit(3);`));
    expect(error.message).toBe("weaver ended with exit code 3 before it was ready");
    expect(error.hint).toBe(`the end of its log ${directory.path}/run/weave/weaver.log:\nthis is why`);
  });

  test("is killed: the signal", async () => {
    const error = await failure(launch(`process.kill(process.pid, "SIGKILL");`));
    expect(error.message).toBe("weaver ended by SIGKILL before it was ready");
    expect(error.hint).toContain("says nothing about it");
  });

  test("says something else", async () => {
    const error = await failure(launch(`send({ kind: "sort of" }); stay();`));
    expect(error.message).toBe("weaver reported its start in a form this weave does not know");
  });

  test("hangs: progress first, then it is ended", async () => {
    const script = `process.on("SIGTERM", () => process.exit(0)); console.log("still at it"); stay();`;
    const error = await failure(launch(script, { deadlineMs: 1500, progressAfterMs: 100 }));
    expect(error.code).toBe("timeout");
    expect(error.message).toBe("weaver was not ready after 1.5 s and has been ended");
    expect(error.hint).toContain("still at it");
    expect(told).toEqual([
      `weave: weaver is starting, waiting up to 1.5 s; its log is ${directory.path}/run/weave/weaver.log`,
    ]);
    expect(runs()).toBe(false);
  });
});

test("a missing weaver is named before anything is made", async () => {
  const error = await failure(
    launchInBackground({ program: "/nonexistent/weaver", words: [] }, join(directory.path, "run"), {
      tell: () => {},
    }),
  );
  expect(error.message).toBe("/nonexistent/weaver does not exist");
  expect(existsSync(join(directory.path, "run"))).toBe(false);
});
