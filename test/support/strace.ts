// strace attached to a daemon: to see which processes it spawns, and to hold it in the middle of a container.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { eventually } from "../kernel/support/namespaces.ts";

export interface SpawnWatch {
  /** Ends the watch. */
  stop(): Promise<{
    /** Lines of strace that make a process, or load a program into one. Threads are none: CLONE_THREAD tells. */
    readonly spawns: readonly string[];
    /** How often a thread entered a namespace: work for a container, which proves that the watch sees the workers. */
    readonly setns: number;
  }>;
}

/** Watch all threads of a process. `file` takes strace's output. */
export async function watchSpawns(pid: number, file: string): Promise<SpawnWatch> {
  const calls = "trace=clone,clone3,fork,vfork,execve,execveat,setns";
  const strace = await attach(pid, ["-e", calls, "-o", file]);
  return {
    async stop() {
      await detach(strace);
      // "resumed" lines are the second half of a call whose first half has the flags.
      const lines = readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => !line.includes("resumed>"));
      const spawning = /\b(clone3?|v?fork|execve(at)?)\(/;
      return {
        spawns: lines.filter((line) => spawning.test(line) && !line.includes("CLONE_THREAD")),
        setns: lines.filter((line) => /\bsetns\(/.test(line)).length,
      };
    },
  };
}

/** Until `stop`, every setns(2) of the process takes this much longer: attaching a container has several. */
export async function slowNamespaceWork(pid: number, ms: number): Promise<{ stop(): Promise<void> }> {
  const inject = `inject=setns:delay_enter=${ms * 1000}`; // microseconds
  const strace = await attach(pid, ["-e", "trace=setns", "-e", inject, "-o", "/dev/null"]);
  return { stop: () => detach(strace, "SIGKILL") };
}

async function attach(pid: number, options: readonly string[]): Promise<ChildProcess> {
  const child = spawn("strace", ["-f", "-p", String(pid), ...options], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  await eventually(`strace attaches to ${pid}`, () => {
    if (child.exitCode !== null) throw new Error(`strace cannot attach to ${pid}: ${stderr}`);
    return stderr.includes(`Process ${pid} attached`);
  });
  return child;
}

/** It may have ended with what it watched. SIGKILL, unlike SIGINT, also ends it in the middle of a delay. */
async function detach(child: ChildProcess, signal: "SIGINT" | "SIGKILL" = "SIGINT"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once("close", resolve));
  child.kill(signal);
  await closed;
}
