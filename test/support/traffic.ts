// Traffic between namespaces: pings that go on while something else happens, and TCP both ways. Started here, ended
// by their `stop`, or with their namespace.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";

const exec = promisify(execFile);
const TCP_PEER = new URL("tcp-peer.mjs", import.meta.url).pathname;

export interface PingCount {
  readonly sent: number;
  /** Sequence numbers that were not answered; the last one may still be on its way and is not counted. */
  readonly lost: readonly number[];
}

export interface Pinging {
  stop(): Promise<PingCount>;
}

/** One ping every 10 ms. */
export async function startPinging(from: TestNamespace, address: string): Promise<Pinging> {
  const child = spawn("nsenter", [`--net=${from.path}`, "ping", "-n", "-i", "0.01", address]);
  const text = collect(child);
  await eventually(`ping of ${address} has begun`, () => text().includes("PING"));
  return {
    async stop() {
      await interrupt(child);
      const sent = Number(/(\d+) packets transmitted/.exec(text())?.[1] ?? 0);
      const answered = new Set([...text().matchAll(/icmp_seq=(\d+) ttl/g)].map((match) => Number(match[1])));
      const lost = Array.from({ length: Math.max(0, sent - 1) }, (_, i) => i + 1).filter(
        (n) => !answered.has(n),
      );
      return { sent, lost };
    },
  };
}

/** Send over TCP and have it echoed: data moved both ways over one connection. Answers bytes that came back unchanged. */
export async function transfer(
  from: TestNamespace,
  to: TestNamespace,
  address: string,
  bytes = 4 << 20,
): Promise<number> {
  const listener = await listen(to);
  try {
    const argv = [
      `--net=${from.path}`,
      process.execPath,
      TCP_PEER,
      "send",
      address,
      String(PORT),
      String(bytes),
    ];
    const { stdout } = await exec("nsenter", argv, { timeout: 30_000 });
    return Number(stdout);
  } finally {
    listener.kill("SIGKILL");
  }
}

const PORT = 5001;

export interface Streaming {
  /** Echoes received, and the longest wait for one. */
  stop(): Promise<{ readonly count: number; readonly longestMs: number }>;
}

/** A TCP connection on which a line goes to and fro every 10 ms. A reset ends it, and `stop` then rejects. */
export async function startStreaming(
  from: TestNamespace,
  to: TestNamespace,
  address: string,
): Promise<Streaming> {
  const listener = await listen(to);
  const child = spawn("nsenter", [
    `--net=${from.path}`,
    process.execPath,
    TCP_PEER,
    "stream",
    address,
    String(PORT),
  ]);
  const text = collect(child);
  await eventually(`stream to ${address} has begun`, () => text().includes("streaming"));
  return {
    async stop() {
      await interrupt(child);
      listener.kill("SIGKILL");
      const counts = /\{"count":(\d+),"longestMs":([\d.]+)\}/.exec(text());
      if (counts === null) throw new Error(`the stream to ${address} broke: ${text()}`);
      return { count: Number(counts[1]), longestMs: Number(counts[2]) };
    },
  };
}

async function listen(namespace: TestNamespace): Promise<ChildProcess> {
  const child = spawn("nsenter", [
    `--net=${namespace.path}`,
    process.execPath,
    TCP_PEER,
    "listen",
    String(PORT),
  ]);
  const text = collect(child);
  await eventually(`a listener in ${namespace.name}`, () => text().includes("listening"));
  return child;
}

/** stdout and stderr so far. */
function collect(child: ReturnType<typeof spawn>): () => string {
  let text = "";
  const add = (chunk: Buffer): void => {
    text += chunk.toString("utf8");
  };
  child.stdout?.on("data", add);
  child.stderr?.on("data", add);
  return () => text;
}

async function interrupt(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGINT");
  await closed;
}
