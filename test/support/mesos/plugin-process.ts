// A plugin as a Mesos agent starts it: an environment of six variables, a regular file for stdin, and no deadline.
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

export interface PluginProcess {
  readonly path: string;
  /** The agent's network namespace. */
  readonly agent: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** File that becomes stdin. */
  readonly stdin: string;
}

export interface PluginOutput {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function runPlugin({ path, agent, env, stdin }: PluginProcess): Promise<PluginOutput> {
  return new Promise((resolve, reject) => {
    const file = openSync(stdin, "r");
    const child = spawn("nsenter", [`--net=${agent}`, path], {
      cwd: "/",
      env,
      stdio: [file, "pipe", "pipe"],
    });
    closeSync(file);
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({
        exit: code ?? -1,
        stdout: Buffer.concat(stdout).toString("utf8"),
        stderr: Buffer.concat(stderr).toString("utf8"),
      });
    });
  });
}
