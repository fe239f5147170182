// Puts together what `weave status cni` shows: the survey of the directories, the forwarder and its daemon, a verdict.
import { statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { SOCKET_FILE } from "../../../../src/daemon/options.ts";
import { isReadable, type Survey, survey } from "../../cni/survey.ts";
import { CONFIGURATION_FILE } from "../../setup/contents.ts";
import { VERSIONED } from "../../setup/executables.ts";
import { MESOS_BIN_DIR } from "../../setup/mesos.ts";
import { ownerOf } from "../../setup/ownership.ts";
import { DEFAULT_BIN_DIR, DEFAULT_CONF_DIR } from "../../setup/places.ts";
import { Remembered } from "../../setup/remembered.ts";
import { count } from "../names.ts";
import { examineForwarder } from "./forwarder.ts";
import type { CniReport } from "./report.ts";

/** Where containerd of Debian looks. */
const DEBIAN_BIN_DIR = "/usr/lib/cni";

export interface Question {
  readonly confDir: string | undefined;
  /** One runtime searches all of them; absent: those of setup and the usual ones, each that of some runtime. */
  readonly binDirs: readonly string[] | undefined;
  readonly runDir: string;
  readonly dataDir: string;
  readonly version: string;
}

export async function gather({ confDir, binDirs, runDir, dataDir, version }: Question): Promise<CniReport> {
  const remembered = memoryOf(dataDir);
  const written = remembered?.paths() ?? [];
  const where = {
    confDir: resolve(confDir ?? lastConfDir(written) ?? DEFAULT_CONF_DIR),
    binDirs: binDirs?.map((each) => resolve(each)) ?? usualBinDirs(written),
    together: binDirs !== undefined,
    fromSetup: (path: string) => remembered !== undefined && ownerOf(path, remembered) === "setup",
  };
  const found = survey(where);
  const path = found.plugins.find(
    ({ type, state }) => type === "weave-net" && state !== "not executable",
  )?.path;
  const expected = join(runDir, SOCKET_FILE);
  const asked = path === undefined ? undefined : await examineForwarder({ path, version, expected });
  const problems = [...found.problems, ...(asked?.problems ?? [])];
  const uses = found.used !== undefined && found.used === found.ours;
  return {
    ok: problems.length === 0,
    verdict: verdict(found, uses, problems),
    uses,
    problems,
    notes: [...found.notes],
    confDir: where.confDir,
    files: found.files.map((file) => describe(file, found.used)),
    binDirs: [...where.binDirs],
    plugins: found.plugins.map((plugin) => ({ ...plugin, versions: [...plugin.versions] })),
    ...(asked === undefined ? {} : { forwarder: asked.forwarder }),
  };
}

/** A memory that this user may not read is none. */
function memoryOf(dataDir: string): Remembered | undefined {
  try {
    return Remembered.load(dataDir);
  } catch {
    return undefined;
  }
}

function lastConfDir(written: readonly string[]): string | undefined {
  const names: readonly string[] = Object.values(CONFIGURATION_FILE);
  const path = written.findLast((each) => names.includes(basename(each)));
  return path === undefined ? undefined : dirname(path);
}

/** Those that exist; with none of them the one that should. */
function usualBinDirs(written: readonly string[]): string[] {
  const own = written.filter((path) => basename(path).startsWith(VERSIONED)).map((path) => dirname(path));
  const all = [...new Set([...own, DEFAULT_BIN_DIR, DEBIAN_BIN_DIR])].filter(
    (path) => path !== MESOS_BIN_DIR,
  );
  const existing = all.filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory());
  return existing.length > 0 ? existing : [DEFAULT_BIN_DIR];
}

function verdict(found: Survey, uses: boolean, problems: CniReport["problems"]): string {
  const [first] = problems;
  if (first === undefined) return "kubelet will use weave";
  if (first.code === "hidden") return `weave is hidden by ${found.used}`;
  if (!uses) return `kubelet will not use weave: ${first.message}`;
  if (first.code === "unparsable") {
    return `containerd will load no network because of ${basename(first.object)}; kubelet will use weave (${found.used})`;
  }
  return `kubelet will use weave (${found.used}), with ${count(problems.length, "problem")}`;
}

function describe(file: Survey["files"][number], used: string | undefined): CniReport["files"][number] {
  if (!isReadable(file)) {
    return { name: file.file, state: "unparsable", versions: [], plugins: [], reason: file.unparsable };
  }
  const { name, versions, chain } = file.network;
  return {
    name: file.file,
    state: file.file === used ? "used" : "not used",
    network: name,
    versions: [...versions],
    plugins: [...chain],
  };
}
