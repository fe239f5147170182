// Who answers at a port, and in whose name a question arrives there: for ports that are mapped to containers. Started
// here, ended by `stop`, or with their namespace.
import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";

const exec = promisify(execFile);
const PROGRAM = new URL("greeter.mjs", import.meta.url).pathname;

export type Transport = "tcp" | "udp";

export interface Greeting {
  /** Of the server that answered. */
  readonly name: string;
  /** Address of the asker, as the server sees it. */
  readonly seen: string;
}

/** Serve on all addresses of a namespace. */
export async function serveGreeting(
  namespace: TestNamespace,
  port: number,
  name: string,
  transport: Transport = "tcp",
): Promise<{ stop(): void }> {
  const argv = [`--net=${namespace.path}`, process.execPath, PROGRAM, "serve", transport, String(port), name];
  const child = spawn("nsenter", argv, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8");
  });
  await eventually(`${name} serves in ${namespace.name}`, () => said.includes("serving"));
  return { stop: () => void child.kill("SIGKILL") };
}

/** undefined: refused, or no answer within a second. */
export async function askGreeting(
  from: TestNamespace,
  address: string,
  port: number,
  transport: Transport = "tcp",
): Promise<Greeting | undefined> {
  const argv = [`--net=${from.path}`, process.execPath, PROGRAM, "ask", transport, address, String(port)];
  try {
    const { stdout } = await exec("nsenter", argv, { timeout: 10_000 });
    const [name, seen] = stdout.trim().split(" ");
    return name === undefined || seen === undefined ? undefined : { name, seen };
  } catch {
    return undefined;
  }
}
