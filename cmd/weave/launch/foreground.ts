// weaver in front of a terminal or a service manager: its output is ours, our signals are its, its end is ours.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { NODE_ENVIRONMENT, NODE_FLAGS } from "../../node-flags.ts";
import { checkProgram, type Weaver } from "./background.ts";

/** Answers the exit code: the daemon's, or 128 plus the signal that ended it, as a shell says it. */
export async function launchInFront({ program, words, environment }: Weaver): Promise<number> {
  checkProgram(program);
  // In a session of its own, or Ctrl-C would reach it twice, from the terminal and from us, and twice means at once.
  const child = spawn(process.execPath, [...NODE_FLAGS, program, ...words], {
    env: { ...process.env, ...NODE_ENVIRONMENT, ...environment },
    detached: true,
    stdio: "inherit",
  });
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal === "SIGHUP" ? "SIGTERM" : signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, pass);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
  } finally {
    for (const signal of signals) process.off(signal, pass);
  }
}
