// Traffic over a path of paths.mjs, and what it costs: iperf3 for streams and floods, pingpong.c for requests, and the
// processor's time of the whole machine meanwhile.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { must, PATH } from "./commands.mjs";

const SOURCE = fileURLToPath(new URL("pingpong.c", import.meta.url));
const IPERF_PORT = 5201;
const PINGPONG_PORT = 5202;
/** Bytes of a small packet's payload. */
export const SMALL = 64;
/** Of the kernel's clock (USER_HZ, proc(5)). */
const TICKS_PER_SECOND = 100;
const LISTEN_MS = 5_000;

const servers = new Set();

/** Compiles what iperf3 lacks into `directory`, and says what is missing. Answers with the program's path. */
export async function prepareTraffic(directory) {
  try {
    await must("iperf3", ["--version"]);
  } catch (error) {
    throw new Error("iperf3 does not start; run: apt-get install iperf3", { cause: error });
  }
  const program = join(directory, "pingpong");
  await must("gcc", ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, SOURCE]);
  return program;
}

/** Starts the servers of a path; they run until `stopServers`. */
export async function serve(path, pingpong) {
  start(path.to, "iperf3", ["-s", "-p", String(IPERF_PORT)]);
  start(path.to, pingpong, ["serve", String(PINGPONG_PORT)]);
  for (const port of [IPERF_PORT, PINGPONG_PORT]) await listening(path, port);
}

/** One TCP stream: Gbit/s received, and the processor's seconds for each gigabyte. */
export async function stream(path, seconds) {
  const before = busySeconds();
  const { end } = await iperf(path, seconds, []);
  const spent = busySeconds() - before;
  const { bytes, bits_per_second: rate } = end.sum_received;
  return { rate: rate / 1e9, cpu: spent / (bytes / 1e9) };
}

/** Requests and answers of one byte, one after the other: transactions per second. */
export async function requests(path, pingpong, seconds) {
  const args = ["ask", path.address, String(PINGPONG_PORT), String(seconds * 1000)];
  return Number(await inside(path.from, pingpong, args));
}

/** Small packets as fast as one sender can: thousands per second that arrived. */
export async function flood(path, seconds) {
  const { end } = await iperf(path, seconds, ["-u", "-b", "0", "-l", String(SMALL)]);
  const { packets, lost_packets: lost, seconds: passed } = end.sum;
  return (packets - lost) / passed / 1000;
}

/** Ends the servers, by pid. */
export async function stopServers() {
  const ended = [...servers].map((child) => new Promise((resolve) => child.once("close", resolve)));
  for (const child of servers) child.kill("SIGKILL");
  await Promise.all(ended);
}

async function iperf(path, seconds, args) {
  const all = ["-J", "-c", path.address, "-p", String(IPERF_PORT), "-t", String(seconds), ...args];
  return JSON.parse(await inside(path.from, "iperf3", all));
}

const inside = (netns, program, args) => must("nsenter", [`--net=${netns}`, program, ...args]);

function start(netns, program, args) {
  const child = spawn("nsenter", [`--net=${netns}`, program, ...args], { stdio: "ignore", env: { PATH } });
  servers.add(child);
  child.on("close", () => servers.delete(child));
  child.on("error", () => servers.delete(child)); // nothing will listen, which is told
}

async function listening({ to, name }, port) {
  for (const deadline = Date.now() + LISTEN_MS; Date.now() < deadline; await sleep(20)) {
    const found = await must("nsenter", [`--net=${to}`, "ss", "-Hltn", `sport = :${port}`]);
    if (found !== "") return;
  }
  throw new Error(`${name}: nothing listens on port ${port}`);
}

/** Of all processors since boot, whatever they did but idling and waiting for disks (proc(5), /proc/stat). */
function busySeconds() {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user, nice, system, , , irq, softirq] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}
