// Makes a fresh Debian machine ready for `npm test` and `npm run demo`: Debian packages, npm packages, build.
// Plain Node without dependencies, since it runs before `npm ci`. Each step looks first and does only what is
// missing; nothing on the machine is changed besides installing packages.

import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { isMainModule, repositoryRoot, run } from "./run.mjs";

/** What build, tests and demo call, the Debian package that brings it, and the file or command that proves it. */
const packages = [
  { name: "nftables", proof: "nft", reason: "the firewall rules weave writes" },
  {
    name: "iproute2",
    proof: "ip",
    reason: "network namespaces as test hosts, and a look at what weave made",
  },
  { name: "iptables", proof: "iptables", reason: "the firewalls of others, which weave must get along with" },
  { name: "util-linux", proof: "nsenter", reason: "running a program inside a test host" },
  { name: "procps", proof: "ps", reason: "looking for processes left behind" },
  { name: "iputils-ping", proof: "ping", reason: "reaching containers across hosts" },
  { name: "iperf3", proof: "iperf3", reason: "moving data across hosts" },
  { name: "conntrack", proof: "conntrack", reason: "seeing which connections the kernel remembers" },
  { name: "tcpdump", proof: "tcpdump", reason: "seeing what crosses the underlay" },
  { name: "strace", proof: "strace", reason: "proving that the daemon starts no process for a container" },
  {
    name: "containernetworking-plugins",
    proof: "/usr/lib/cni/loopback",
    reason: "the plugins a runtime calls beside weave's",
  },
  { name: "containerd", proof: "containerd", reason: "a container runtime that calls the plugin" },
  { name: "runc", proof: "runc", reason: "what containerd and podman start containers with" },
  { name: "podman", proof: "podman", reason: "another runtime that calls the plugin" },
  { name: "busybox-static", proof: "/bin/busybox", reason: "the images of the test containers" },
  { name: "gcc", proof: "gcc", reason: "compiling the CNI executable, and the searches of the model" },
  { name: "g++", proof: "g++", reason: "npm raw-socket, which is compiled when it is installed" },
  { name: "make", proof: "make", reason: "the same" },
  { name: "python3", proof: "python3", reason: "the same: node-gyp is written in it" },
  {
    name: "musl-tools",
    proof: "musl-gcc",
    reason: "a C library whose programs start in a third of the time",
  },
  { name: "libc6-dev", proof: "/usr/include/stdio.h", reason: "the static C library of the CNI executable" },
  { name: "spin", proof: "spin", reason: "searching the model of how a cluster decides" },
];

/** From this on `npm ci` brings the versions in package-lock.json; older ones fail in ways hard to read. */
const oldestNode = [20, 19];

/**
 * Installs what is missing and builds. Rejects with a message that says what to do when it cannot.
 * The build says nothing unless it fails.
 * @param {{ quiet?: boolean }} [options] quiet: the same for the installations: one line per step
 */
export async function prepare({ quiet = false } = {}) {
  requireNode();
  await installDebianPackages(quiet);
  await installNpmPackages(quiet);
  await step("building", process.execPath, ["scripts/build.mjs"], true);
}

function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  throw new Error(`Node ${process.versions.node} is too old; install Node ${oldestNode.join(".")} or newer`);
}

async function step(title, program, args, quiet, env = {}) {
  console.log(`==> ${title}`);
  const { code, output } = await run(program, args, { capture: quiet, env });
  if (code === 0) return;
  if (quiet) console.error(output.trimEnd());
  throw new Error(`${title} failed: ${[program, ...args].join(" ")} ended with exit code ${code}`);
}

async function installDebianPackages(quiet) {
  const missing = onPath("dpkg-query")
    ? await missingDebianPackages()
    : packages.filter(({ proof }) => !isThere(proof));
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  const list = missing.map(({ name, reason }) => `    ${name}: ${reason}`).join("\n");
  if (!onPath("apt-get")) {
    throw new Error(
      `this machine has no apt-get; install what these Debian packages hold, then try again:\n${list}`,
    );
  }
  const install = ["install", "--yes", "--no-install-recommends", ...names];
  if (process.getuid?.() !== 0) {
    throw new Error(
      `packages are missing and this is not root:\n${list}\nrun: sudo apt-get ${install.join(" ")}`,
    );
  }
  console.log(`Debian packages to install:\n${list}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  // Another apt may hold the lock on a machine that has just booted.
  const common = ["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"];
  await step("apt-get update", "apt-get", [...common, "update"], quiet, env);
  await step("apt-get install", "apt-get", [...common, ...install], quiet, env);
}

async function missingDebianPackages() {
  const { output } = await run(
    "dpkg-query",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders of dpkg-query
    ["--show", "--showformat=${binary:Package} ${db:Status-Status}\n", ...packages.map(({ name }) => name)],
    { capture: true, env: { LC_ALL: "C" } },
  );
  const installed = new Set(
    output
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      // Some are listed with their architecture: "libc6-dev:amd64".
      .map((line) => line.split(/[: ]/)[0]),
  );
  return packages.filter(({ name }) => !installed.has(name));
}

function isThere(proof) {
  return proof.startsWith("/") ? existsSync(proof) : onPath(proof);
}

function onPath(command) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function installNpmPackages(quiet) {
  const difference = npmDifference();
  if (difference === undefined) return;
  await step(`npm ci (${difference})`, "npm", ["ci", "--include=dev", "--no-audit", "--no-fund"], quiet);
}

/** Why node_modules is not what package-lock.json asks for, or undefined when it is. */
function npmDifference() {
  // npm writes this copy of the lock when an installation is complete.
  const installedLock = join(repositoryRoot, "node_modules", ".package-lock.json");
  if (!existsSync(installedLock)) return "node_modules is missing or incomplete";
  const installed = JSON.parse(readFileSync(installedLock, "utf8")).packages;
  const wanted = JSON.parse(readFileSync(join(repositoryRoot, "package-lock.json"), "utf8")).packages;
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    if (path === "") continue;
    // Optional packages are those of other platforms.
    if (optional && installed[path] === undefined) continue;
    if (installed[path]?.version !== version) return `${path} is not at version ${version}`;
  }
  return undefined;
}

if (isMainModule(import.meta.url)) {
  try {
    await prepare({ quiet: process.argv.includes("--quiet") });
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
