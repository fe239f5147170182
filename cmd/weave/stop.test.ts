import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { ownRunDir } from "../../test/support/run-dir.ts";
import { weave } from "./testing/harness.ts";

const runDir = ownRunDir();

test("returns when the process is gone and the socket closed, not before", async () => {
  const process = spawn("sleep", ["60"]);
  const gone = new Promise<void>((resolve) => process.once("exit", () => resolve()));
  const order: string[] = [];
  await runDir.serve({ "/v1/stop": [200, { pid: process.pid }] }, () => {
    setTimeout(() => {
      order.push("socket closed");
      void runDir.hangUp();
    }, 100);
    setTimeout(() => {
      order.push("process ended");
      process.kill();
    }, 200);
  });
  const { stdout, code } = await weave(["stop"]);
  order.push("stop returned");
  expect({ stdout, code }).toEqual({
    stdout: `weaver has stopped (process ${process.pid}); containers keep their network\n`,
    code: 0,
  });
  expect(order).toEqual(["socket closed", "process ended", "stop returned"]);
  await gone;
});

test("waits for the socket of a process that is gone", async () => {
  let closed = false;
  await runDir.serve({ "/v1/stop": [200, { pid: 2 ** 22 + 1 }] }, () => {
    setTimeout(() => {
      closed = true;
      void runDir.hangUp();
    }, 150);
  });
  expect((await weave(["stop"])).code).toBe(0);
  expect(closed).toBe(true);
});

test("a zombie counts as gone", async () => {
  // The shell becomes a sleep, which never collects the child the shell had.
  const parent = spawn("sh", ["-c", "sleep 0.2 & echo $!; exec sleep 60"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = await new Promise<number>((resolve) => {
    parent.stdout.once("data", (line: Buffer) => resolve(Number(line.toString())));
  });
  try {
    await runDir.serve({ "/v1/stop": [200, { pid }] }, () => void runDir.hangUp());
    expect((await weave(["stop"])).code).toBe(0);
  } finally {
    parent.kill();
  }
});
