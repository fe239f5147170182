// The demo's three hosts: network namespaces on one underlay, each with directories of its own, and the containers on
// them. Everything made here is taken away by `removeEverything`, also what an earlier, killed demo left.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryRoot, run } from "../run.mjs";

const PREFIX = "weave-demo-";
const UNDERLAY = `${PREFIX}underlay`;
const DIRECTORY = "weave-demo.";

/** Commands under way: what they make must be there before it can be removed. */
const underWay = new Set();
let closed = false;

/** A command that must succeed; its output, trimmed. */
export async function must(program, args, options = {}) {
  if (closed) throw new Error("the demo is ending");
  const running = run(program, args, { capture: true, timeoutMs: 60_000, ...options });
  underWay.add(running);
  const { code, output } = await running.finally(() => underWay.delete(running));
  if (code !== 0) throw new Error(`${[program, ...args].join(" ")}\n${output.trimEnd()}`);
  return output.trim();
}

/** The network between the hosts: a switch. */
export async function makeUnderlay() {
  await must("ip", ["netns", "add", UNDERLAY]);
  await must("ip", ["-n", UNDERLAY, "link", "add", "switch", "type", "bridge"]);
  await must("ip", ["-n", UNDERLAY, "link", "set", "switch", "up"]);
  return mkdtempSync(join(tmpdir(), DIRECTORY));
}

/** A host: one uplink, directories for state, sockets and CNI, and `weave` as its user runs it. */
export async function makeHost(base, name, number) {
  const netns = `${PREFIX}${name}`;
  const address = `192.168.77.${number}`;
  await must("ip", ["netns", "add", netns]);
  await must("ip", [
    "-n",
    UNDERLAY,
    "link",
    "add",
    name,
    "type",
    "veth",
    "peer",
    "name",
    "eth0",
    "netns",
    netns,
  ]);
  await must("ip", ["-n", UNDERLAY, "link", "set", name, "master", "switch", "up"]);
  await must("ip", ["-n", netns, "address", "add", `${address}/24`, "dev", "eth0"]);
  for (const link of ["lo", "eth0"]) await must("ip", ["-n", netns, "link", "set", link, "up"]);
  const dirs = Object.fromEntries(
    ["data", "run", "bin", "conf"].map((kind) => [kind, join(base, name, kind)]),
  );
  for (const dir of Object.values(dirs)) mkdirSync(dir, { recursive: true });
  const env = { WEAVE_DATA_DIR: dirs.data, WEAVE_RUN_DIR: dirs.run };
  const inside = (args) => [`--net=/run/netns/${netns}`, ...args];
  return {
    name,
    address,
    dirs,
    weave: (...args) => must("nsenter", inside([join(repositoryRoot, "dist/bin/weave"), ...args]), { env }),
    /** What a runtime does: the plugin named by 10-weave.conf, its variables, the configuration on stdin. */
    cni: (command, container) => callPlugin(inside, dirs, command, container),
    pid: () => Number(readFileSync(join(dirs.run, "weaver.pid"), "utf8")),
    log: () =>
      existsSync(join(dirs.run, "weaver.log")) ? readFileSync(join(dirs.run, "weaver.log"), "utf8") : "",
  };
}

/** A container is a network namespace; what else runs in it does not matter here. */
export async function makeContainer(name) {
  const netns = `${PREFIX}${name}`;
  await must("ip", ["netns", "add", netns]);
  return {
    name,
    netns: `/run/netns/${netns}`,
    exec: (...args) => must("ip", ["netns", "exec", netns, ...args]),
    /** A program that goes on while other things happen; resolves with its output at its end. */
    start: (...args) => startIn(netns, args),
  };
}

async function callPlugin(inside, dirs, command, container) {
  const conf = readFileSync(join(dirs.conf, "10-weave.conf"), "utf8");
  const plugin = join(dirs.bin, JSON.parse(conf).type);
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: container.name,
    CNI_NETNS: container.netns,
    CNI_IFNAME: "eth0",
    CNI_PATH: dirs.bin,
  };
  const answer = await must("nsenter", inside([plugin]), { env, input: conf });
  return answer === "" ? undefined : JSON.parse(answer);
}

const running = new Set();

function startIn(netns, args) {
  const child = spawn("ip", ["netns", "exec", netns, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const ended = new Promise((resolve) => {
    child.on("close", () => {
      running.delete(child);
      resolve(output);
    });
  });
  return { ended, soFar: () => output, stop: () => child.kill("SIGINT") };
}

/** From now on nothing more is made; then everything is removed. */
export async function close() {
  closed = true;
  await Promise.allSettled(underWay);
  await removeEverything();
}

/** Programs, daemons, namespaces and directories, by name: also those of a demo that was killed. */
export async function removeEverything() {
  for (const child of running) child.kill("SIGKILL");
  for (const entry of readdirSync(tmpdir())) {
    if (entry.startsWith(DIRECTORY)) await removeDirectory(join(tmpdir(), entry));
  }
  const { output } = await run("ip", ["netns", "list"], { capture: true });
  for (const line of output.split("\n")) {
    const [netns = ""] = line.split(" ");
    if (netns.startsWith(PREFIX)) await run("ip", ["netns", "delete", netns], { capture: true });
  }
}

async function removeDirectory(base) {
  for (const host of readdirSync(base)) {
    const pidFile = join(base, host, "run/weaver.pid");
    if (existsSync(pidFile)) await end(Number(readFileSync(pidFile, "utf8")), base);
  }
  rmSync(base, { recursive: true, force: true });
}

/** End a daemon by pid, if the pid is still the daemon of that directory. */
async function end(pid, base) {
  const isOurs = () => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(base);
    } catch {
      return false;
    }
  };
  if (isOurs()) process.kill(pid, "SIGKILL");
  const deadline = Date.now() + 5_000;
  while (isOurs() && Date.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
}
