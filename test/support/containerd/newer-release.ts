// containerd 2 beside the one that is installed: Debian's package of a newer distribution, unpacked and not installed.
// apt works in a directory of its own, so what the machine knows of packages stays as it was. The unpacked programs
// are kept in the user's cache, so that later runs ask nobody.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Release } from "./containerd.ts";

const exec = promisify(execFile);

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** By role and not by name: they move on with Debian. In this order until one has what we look for. */
const SUITES = ["testing", "unstable"];
const TIMEOUT_MS = 90_000;

/** What the tests cannot do without, and do not install. */
export interface Missing {
  readonly why: string;
}

/**
 * A containerd of version 2 or later, or why there is none. `why` begins with the words that test/allowed-skips.txt
 * lists.
 */
export async function newerRelease(): Promise<Release | Missing> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "weave-tests");
  try {
    mkdirSync(cache, { recursive: true });
    const dir = kept(cache) ?? (await fetched(cache));
    const { stdout } = await exec(join(dir, "containerd"), ["--version"]);
    return { dir, name: /\s(\d\S*)/.exec(stdout)?.[1] ?? stdout };
  } catch (error) {
    const reason = String(error instanceof Error ? error.message : error).trimEnd();
    return { why: `no containerd 2 from Debian's archive: ${reason.split("\n").join("; ")}` };
  }
}

/** Directory of the programs an earlier run unpacked. */
function kept(cache: string): string | undefined {
  const name = readdirSync(cache).find((entry) => /^containerd_([2-9]|\d\d)\./.test(entry));
  return name === undefined ? undefined : join(cache, name, "usr/bin");
}

async function fetched(cache: string): Promise<string> {
  const work = mkdtempSync(join(cache, "unpacking-"));
  try {
    const problems: string[] = [];
    for (const suite of SUITES) {
      const deb = await download(join(work, suite), suite).catch((error: unknown) => {
        problems.push(`${suite}: ${reasonOf(error)}`);
      });
      if (deb === undefined) continue;
      const name = deb.replace(/^.*\/|_[^_]*$/g, ""); // package_version
      const unpacked = join(work, name);
      await exec("dpkg-deb", ["--extract", deb, unpacked]);
      if (!existsSync(join(cache, name))) renameSync(unpacked, join(cache, name));
      return join(cache, name, "usr/bin");
    }
    throw new Error(problems.join("; "));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Path of the package; undefined when the suite has version 1 only. */
async function download(dir: string, suite: string): Promise<string | undefined> {
  for (const part of ["state/lists/partial", "cache/archives/partial", "parts"]) {
    mkdirSync(join(dir, part), { recursive: true });
  }
  const mirror = await machinesMirror();
  writeFileSync(join(dir, "sources.list"), `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
  writeFileSync(
    join(dir, "apt.conf"),
    [
      `Dir::State "${dir}/state"; Dir::State::status "/var/lib/dpkg/status"; Dir::Cache "${dir}/cache";`,
      `Dir::Etc::sourcelist "${dir}/sources.list"; Dir::Etc::sourceparts "-"; Dir::Etc::main "-";`,
      `Dir::Etc::parts "${dir}/parts"; APT::Sandbox::User "root"; Acquire::Languages "none";`,
      'Acquire::http::Timeout "15"; Acquire::https::Timeout "15"; Acquire::Retries "1";',
      ...(await machinesNetworkSettings()),
    ].join("\n"),
  );
  const apt = async (program: string, ...words: string[]): Promise<string> => {
    const env = { ...process.env, APT_CONFIG: join(dir, "apt.conf"), LC_ALL: "C" };
    return (await exec(program, words, { cwd: dir, env, timeout: TIMEOUT_MS })).stdout;
  };
  await apt("apt-get", "update", "--error-on=any");
  const version = /^\s*containerd \| ([2-9]\.\S+|\d\d\.\S+)/m.exec(
    await apt("apt-cache", "madison", "containerd"),
  );
  if (version === null) throw new Error("has containerd 1 only");
  await apt("apt-get", "download", `containerd=${version[1]}`);
  const deb = readdirSync(dir).find((name) => name.endsWith(".deb"));
  return deb === undefined ? undefined : join(dir, deb);
}

/** The one the machine uses, as far as that can be told. */
async function machinesMirror(): Promise<string> {
  const { stdout } = await exec("apt-get", ["indextargets", "--format", "$(SITE)"]);
  return stdout.split("\n").find((site) => /\/debian\/?$/.test(site)) ?? "http://deb.debian.org/debian";
}

/** Proxies, and whether its clock can be trusted. */
async function machinesNetworkSettings(): Promise<string[]> {
  const { stdout } = await exec("apt-config", ["dump"]);
  return stdout.split("\n").filter((line) => /^Acquire::(https?|Check-[\w-]+)[: ]/.test(line));
}

/** What could not be fetched, or apt's last word. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
  const lines = text.trim().split("\n");
  return lines.find((line) => line.includes("Failed to fetch")) ?? lines.at(-1) ?? "";
}
