// Network namespaces for tests: uniquely named, commands inside them, all removed at the end whatever happened.
import { execFile, execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);
let serial = 0;
const alive = new Set<TestNamespace>();

// A test that crashes its process still leaves nothing; what a killed one left, the next run sweeps.
process.on("exit", () => {
  for (const ns of alive) ns.remove();
});
sweep();

/** One namespace, at /run/netns/NAME. */
export class TestNamespace {
  readonly name: string;
  readonly path: string;

  /** `label` is for people; the name has the process id and a number too. */
  constructor(label: string) {
    this.name = `wt${process.pid}-${serial++}-${label}`;
    this.path = `/run/netns/${this.name}`;
    execFileSync("ip", ["netns", "add", this.name]);
    alive.add(this);
    execFileSync("ip", ["-n", this.name, "link", "set", "lo", "up"]);
  }

  /** Run a command line (split at blanks) inside; its stdout. Rejects when it fails. */
  run(line: string, timeoutMs = 15_000): Promise<string> {
    return this.exec(
      line.split(" ").filter((word) => word !== ""),
      timeoutMs,
    );
  }

  /** The same for words that hold blanks. */
  async exec(words: readonly string[], timeoutMs = 15_000): Promise<string> {
    const args = [`--net=${this.path}`, ...words];
    const { stdout } = await exec("nsenter", args, { timeout: timeoutMs, maxBuffer: 1 << 26 });
    return stdout;
  }

  /** Whether a command succeeds inside. */
  async succeeds(line: string, timeoutMs = 15_000): Promise<boolean> {
    return this.run(line, timeoutMs).then(
      () => true,
      () => false,
    );
  }

  /** Output of `ip -j` or `bridge -j`, parsed. Callers look at what they know to be there. */
  async json(line: string): Promise<JsonObject[]> {
    const text = (await this.run(line)).trim();
    const parsed: unknown = text === "" ? [] : JSON.parse(text);
    return Array.isArray(parsed) ? parsed.filter(isObject) : [];
  }

  remove(): void {
    alive.delete(this);
    try {
      execFileSync("ip", ["netns", "del", this.name], { stdio: "ignore" });
    } catch {
      // Removed by the test itself.
    }
  }
}

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Remove namespaces of test processes that do not live any more. */
function sweep(): void {
  let names: string[] = [];
  try {
    names = readdirSync("/run/netns");
  } catch {
    return;
  }
  for (const name of names) {
    const pid = /^wt(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
  }
}

/** Wait until `fact` gives something other than false or undefined. Throws with `what` after the deadline. */
export async function eventually<T>(
  what: string,
  fact: () => Promise<T | false | undefined> | T | false | undefined,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await fact();
    if (value !== false && value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Why these tests cannot run here, or undefined: they make namespaces, links and nft tables. `more`: what else they run. */
export function whyNot(...more: readonly string[]): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs root on Linux";
  for (const tool of ["ip", "bridge", "nft", "nsenter", "ping", "tcpdump", ...more]) {
    try {
      execFileSync("which", [tool], { stdio: "ignore" });
    } catch {
      return `needs ${tool} (apt-get install iproute2 nftables util-linux iputils-ping tcpdump iperf3)`;
    }
  }
  return undefined;
}

/** A capture on an interface; `stop` gives the lines tcpdump printed. */
export interface Capture {
  /** The lines of everything that crossed until now. */
  stop(): Promise<readonly string[]>;
}

/** Start tcpdump and wait until it listens. `filter` is a pcap expression; outer VXLAN frames show the inner one too. */
export async function capture(ns: TestNamespace, dev: string, filter = ""): Promise<Capture> {
  const file = join(tmpdir(), `${ns.name}-${dev}-${serial++}.txt`);
  const out = openSync(file, "w");
  const args = [
    `--net=${ns.path}`,
    "tcpdump",
    "-i",
    dev,
    "-nn",
    "-l",
    "-e",
    "-T",
    "vxlan",
    "--immediate-mode",
  ];
  const child = spawn("nsenter", [...args, ...filter.split(" ").filter((word) => word !== "")], {
    stdio: ["ignore", out, "pipe"],
  });
  closeSync(out);
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  await eventually(`tcpdump on ${dev} listens: ${stderr}`, () => stderr.includes("listening on"));
  return {
    async stop() {
      // Ended at once, tcpdump leaves behind what the kernel has captured and it has not read.
      await eventually("tcpdump has read all that was captured", () => {
        child.kill("SIGUSR1"); // makes it tell its counts
        const [, captured, received] =
          [...stderr.matchAll(/(\d+) packets? captured, (\d+) packets? received by filter/g)].at(-1) ?? [];
        return captured !== undefined && Number(captured) >= Number(received);
      });
      const closed = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGINT");
      await closed;
      const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
      rmSync(file, { force: true });
      return lines;
    },
  };
}
