// Which processes a process spawns, seen by strace. Threads are no processes: CLONE_THREAD tells them apart.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { eventually } from "../kernel/support/namespaces.ts";

export interface SpawnWatch {
  /** Ends the watch. */
  stop(): Promise<{
    /** Lines of strace that make a process or load a program into one. */
    readonly spawns: readonly string[];
    /** How often a thread entered a namespace: work for a container, which proves that the watch sees the workers. */
    readonly setns: number;
  }>;
}

/** Watch all threads of a process. `file` takes strace's output. */
export async function watchSpawns(pid: number, file: string): Promise<SpawnWatch> {
  const calls = "trace=clone,clone3,fork,vfork,execve,execveat,setns";
  const child = spawn("strace", ["-f", "-p", String(pid), "-e", calls, "-o", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  await eventually(`strace is attached: ${stderr}`, () => stderr.includes(`Process ${pid} attached`));
  return {
    async stop() {
      const closed = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGINT");
      await closed;
      // "resumed" lines are the second half of a call whose first half has the flags.
      const lines = readFileSync(file, "utf8").split("\n").filter((line) => !line.includes("resumed>"));
      return {
        spawns: lines.filter((line) => /\b(clone3?|v?fork|execve(at)?)\(/.test(line) && !line.includes("CLONE_THREAD")),
        setns: lines.filter((line) => /\bsetns\(/.test(line)).length,
      };
    },
  };
}
