// Ten hosts that have nothing to do: namespaces on one underlay, a daemon on each, all connected to all. What the daemons
// take of memory and processor then.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { repositoryRoot } from "../run.mjs";
import { must, PATH } from "./commands.mjs";
import { makeDirectory, netnsPath } from "./place.mjs";

/** After the last host joined: elections and gossip are over, and what starting needed is collected. */
const SETTLE_MS = 30_000;
const CONNECT_MS = 60_000;
/** Of the kernel's clock (USER_HZ, proc(5)). */
const TICKS_PER_SECOND = 100;

/**
 * Resident memory in MiB and share of one core in percent, of the daemon that takes most of each.
 * @param {{ hosts: number, seconds: number }} extent
 */
export async function idleDaemons({ hosts, seconds }) {
  const pids = await launchAll(hosts);
  await sleep(SETTLE_MS);
  const before = pids.map(ticksOf);
  await sleep(seconds * 1000);
  const shares = pids.map((pid, n) => ((ticksOf(pid) - before[n]) / TICKS_PER_SECOND / seconds) * 100);
  return { rssMiB: Math.max(...pids.map(residentMiB)), cpuPercent: Math.max(...shares) };
}

async function launchAll(count) {
  const underlay = netnsOf("underlay");
  await must("ip", ["netns", "add", underlay]);
  await must("ip", ["-n", underlay, "link", "add", "switch", "type", "bridge"]);
  await must("ip", ["-n", underlay, "link", "set", "switch", "up"]);
  const launched = [];
  for (let n = 1; n <= count; n++) launched.push(await launch(underlay, n));
  const [first] = launched;
  for (const deadline = Date.now() + CONNECT_MS; ; await sleep(500)) {
    const { connections } = JSON.parse(await first.weave("status", "--json"));
    if (connections.filter(({ state }) => state === "established").length === count - 1) break;
    if (Date.now() > deadline) throw new Error(`not all of ${count} hosts connected`);
  }
  return launched.map(({ pid }) => pid);
}

async function launch(underlay, n) {
  const netns = netnsOf(`host-${n}`);
  for (const line of [
    `netns add ${netns}`,
    `-n ${underlay} link add host${n} type veth peer name eth0 netns ${netns}`,
    `-n ${underlay} link set host${n} master switch up`,
    `-n ${netns} address add 192.168.77.${n}/24 dev eth0`,
    `-n ${netns} link set lo up`,
    `-n ${netns} link set eth0 up`,
  ])
    await must("ip", line.split(" "));
  const base = makeDirectory();
  const env = { PATH, WEAVE_DATA_DIR: join(base, "data"), WEAVE_RUN_DIR: join(base, "run") };
  for (const directory of [env.WEAVE_DATA_DIR, env.WEAVE_RUN_DIR]) mkdirSync(directory);
  const weave = (...words) =>
    must("nsenter", [`--net=${netnsPath(`host-${n}`)}`, join(repositoryRoot, "dist/bin/weave"), ...words], {
      env,
    });
  await weave("launch", "--nickname", `host-${n}`, ...(n === 1 ? [] : ["192.168.77.1"]));
  return { weave, pid: Number(readFileSync(join(env.WEAVE_RUN_DIR, "weaver.pid"), "utf8")) };
}

const netnsOf = (name) => netnsPath(name).split("/").at(-1);

function residentMiB(pid) {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}

/** User and system time of all threads. */
function ticksOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
