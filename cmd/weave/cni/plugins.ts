// Whether the executables a network needs are where runtimes look for them, can be run, and speak its versions.
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Finding, quote } from "./finding.ts";
import { probeVersions } from "./plugin-probe.ts";
import { spanOf } from "./versions.ts";

/** Called by kubelet and containerd for every pod, though no configuration names it. */
const LOOPBACK = "loopback";

/** Debian's package containernetworking-plugins installs here, where only Debian's containerd looks. */
const DEBIAN_DIR = "/usr/lib/cni";
const STANDARD = new Set(
  `bandwidth bridge dhcp firewall host-device host-local ipvlan loopback macvlan portmap ptp sbr static tap tuning vlan
   vrf`.split(/\s+/),
);

export interface FoundPlugin {
  readonly type: string;
  /** Absent: it is nowhere. */
  readonly path?: string;
  /** What it answered to VERSION, ascending. */
  readonly versions: readonly string[];
  /** "ok", or in a few words what is wrong. */
  readonly state: string;
}

export interface PluginsRequest {
  readonly binDirs: readonly string[];
  /** One runtime searches all of `binDirs`; else each of them is that of some runtime. */
  readonly together: boolean;
  /** Executables of the network; loopback is added. */
  readonly types: readonly string[];
  /** Versions a runtime may take for the network. */
  readonly versions: readonly string[];
  /** Where the network is described, if it is. */
  readonly file: string | undefined;
  /** The command that changes this description. */
  readonly toChange: string;
}

/** Runs each plugin once. */
export function findPlugins(request: PluginsRequest): { plugins: FoundPlugin[]; problems: Finding[] } {
  const { binDirs, together } = request;
  const types = [...new Set([LOOPBACK, ...request.types])];
  const complete = together
    ? undefined
    : binDirs.find((dir) => types.every((type) => isFile(join(dir, type))));
  const looked = types.map((type) => look(type, complete === undefined ? binDirs : [complete], request));
  const plugins = looked.map(({ plugin }) => plugin);
  const problems = looked.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));
  const scattered =
    !together && complete === undefined && plugins.every(({ path }) => path !== undefined)
      ? [apart(types, binDirs)]
      : [];
  return { plugins, problems: [...scattered, ...problems] };
}

function look(
  type: string,
  directories: readonly string[],
  { versions, file, toChange }: PluginsRequest,
): { plugin: FoundPlugin; problem?: Finding } {
  // The first regular file of that name, executable or not: as libcni looks.
  const path = directories.map((directory) => join(directory, type)).find(isFile);
  const result = (state: string, spoken: readonly string[], problem?: Omit<Finding, "object">) => ({
    plugin: { type, ...(path === undefined ? {} : { path }), versions: spoken, state },
    ...(problem === undefined ? {} : { problem: { ...problem, object: path ?? type } }),
  });
  if (path === undefined) {
    const message = `plugin ${type} is not in ${directories.join(", ")}`;
    return result("missing", [], {
      code: "plugin-missing",
      message,
      command: toGet(type, directories, toChange),
    });
  }
  if ((statSync(path).mode & 0o111) === 0) {
    const command = `chmod +x ${quote(path)}`;
    return result("not executable", [], {
      code: "not-executable",
      message: `${path} is not executable`,
      command,
    });
  }
  const probe = probeVersions(path);
  if ("silent" in probe) {
    const message = `${path} is not usable: ${probe.silent}`;
    return result("broken", [], {
      code: "plugin-broken",
      message,
      command: toGet(type, directories, toChange),
    });
  }
  const lacking = type === LOOPBACK ? [] : versions.filter((version) => !probe.versions.includes(version));
  if (lacking.length === 0 || file === undefined) return result("ok", probe.versions);
  return result(`lacks ${lacking.join(" ")}`, probe.versions, {
    code: "version",
    message: `${path} speaks ${spanOf(probe.versions)}; ${file} offers ${lacking.join(", ")}, too, and runtimes that take it start no container`,
    command: toChange,
  });
}

function apart(types: readonly string[], binDirs: readonly string[]): Finding {
  const [first = ""] = binDirs;
  const lacks = binDirs.map(
    (dir) => `${dir} lacks ${types.filter((type) => !isFile(join(dir, type))).join(", ")}`,
  );
  const sources = types
    .filter((type) => !isFile(join(first, type)))
    .flatMap((type) =>
      binDirs
        .map((dir) => join(dir, type))
        .filter(isFile)
        .slice(0, 1),
    );
  return {
    code: "plugin-apart",
    object: first,
    message: `no directory has all plugins, and most runtimes search only one: ${lacks.join("; ")}. If yours searches all of them, name each with --cni-bin-dir`,
    command: `ln -s ${sources.map(quote).join(" ")} ${quote(first)}/`,
  };
}

function toGet(type: string, directories: readonly string[], toChange: string): string {
  const [first = DEBIAN_DIR] = directories;
  if (type.startsWith("weave-")) {
    const make = isDirectory(first) ? "" : `mkdir -p ${quote(first)} && `;
    return `${make}weave setup --cni-bin-dir ${quote(first)}`;
  }
  if (!STANDARD.has(type)) return toChange;
  const source = join(DEBIAN_DIR, type);
  const install = isFile(source) ? [] : ["apt-get install --yes containernetworking-plugins"];
  const link = directories.includes(DEBIAN_DIR) ? [] : [`ln -sf ${source} ${quote(first)}/`];
  return [...install, ...link].join(" && ") || "apt-get install --reinstall containernetworking-plugins";
}

function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  } catch {
    return false; // a directory that is a file, or may not be searched
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
