// What a kubelet would make of the directories of this host: which network it takes, and whether all that network needs
// is there. Files and executables only; the daemon is for the caller to ask.
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Finding, quote } from "./finding.ts";
import { type Network, type NetworkFile, readNetworkFiles } from "./network-files.ts";
import { type FoundPlugin, findPlugins } from "./plugins.ts";

export interface SurveyRequest {
  readonly confDir: string;
  /** Where to look for plugins, in this order. */
  readonly binDirs: readonly string[];
  /** One runtime searches all of `binDirs`; else each of them is that of some runtime. */
  readonly together: boolean;
  /** Whether setup wrote a configuration, and would write it anew. */
  readonly fromSetup: (path: string) => boolean;
}

export interface Survey {
  /** In the order runtimes read them. */
  readonly files: readonly NetworkFile[];
  /** Name of the file that kubelet and CRI-O take. */
  readonly used: string | undefined;
  /** Name of the first file of a network with weave-net. */
  readonly ours: string | undefined;
  /** loopback and what our network needs. */
  readonly plugins: readonly FoundPlugin[];
  readonly problems: readonly Finding[];
  /** As problems, but containers start and use weave all the same. */
  readonly notes: readonly Finding[];
}

/** The plugin type whose presence makes a network ours. */
const OUR_TYPE = "weave-net";

/** Throws the system's error when a directory cannot be read. */
export function survey(request: SurveyRequest): Survey {
  const { confDir } = request;
  const exists = statSync(confDir, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const files = exists ? readNetworkFiles(confDir) : [];
  const used = files.find(isReadable);
  const ours = files.find((file) => isReadable(file) && file.network.chain.includes(OUR_TYPE));
  const network = ours !== undefined && isReadable(ours) ? ours.network : undefined;
  const path = ours === undefined ? undefined : join(confDir, ours.file);
  const { plugins, problems } = findPlugins({
    ...request,
    types: network?.types ?? [OUR_TYPE],
    versions: network?.versions ?? [],
    file: path,
    toChange: path === undefined || request.fromSetup(path) ? setupFor(confDir) : `vi ${quote(path)}`,
  });
  return {
    files,
    used: used?.file,
    ours: ours?.file,
    plugins,
    problems: [...(exists ? aboutFiles(confDir, files, used, ours) : [noDirectory(confDir)]), ...problems],
    notes: sideBySide(confDir, files, ours),
  };
}

export function isReadable(file: NetworkFile): file is Extract<NetworkFile, { network: Network }> {
  return "network" in file;
}

function setupFor(confDir: string): string {
  return `weave setup --cni-conf-dir ${quote(confDir)}`;
}

function noDirectory(confDir: string): Finding {
  return {
    code: "no-directory",
    object: confDir,
    message: `${confDir} does not exist`,
    command: `mkdir -p ${quote(confDir)} && ${setupFor(confDir)}`,
  };
}

function aboutFiles(
  confDir: string,
  files: readonly NetworkFile[],
  used: NetworkFile | undefined,
  ours: NetworkFile | undefined,
): Finding[] {
  const before = used === undefined ? files : files.slice(0, files.indexOf(used));
  const findings: Finding[] = [];
  if (ours === undefined) {
    findings.push({
      code: "no-configuration",
      object: confDir,
      message: `no file in ${confDir} names a network with ${OUR_TYPE}${used === undefined ? "" : `; kubelet uses ${used.file}`}`,
      command: setupFor(confDir),
    });
  } else if (used !== undefined && used !== ours && isReadable(used)) {
    const path = join(confDir, used.file);
    findings.push({
      code: "hidden",
      object: path,
      message: `weave is hidden by ${used.file} (network ${used.network.name}), which sorts before ${ours.file}`,
      command: `mv ${quote(path)} ${quote(`${path}.off`)}`,
    });
  }
  for (const file of before) {
    if (isReadable(file)) continue;
    const path = join(confDir, file.file);
    findings.push({
      code: "unparsable",
      object: path,
      message: `${file.file} cannot be parsed (${file.unparsable}): containerd then loads no network at all; kubelet, CRI-O and podman pass over it`,
      command: `mv ${quote(path)} ${quote(`${path}.off`)}`,
    });
  }
  return findings;
}

/** Two forms of one network: kubelet and containerd use the first, podman only a list. */
function sideBySide(
  confDir: string,
  files: readonly NetworkFile[],
  ours: NetworkFile | undefined,
): Finding[] {
  if (ours === undefined || !isReadable(ours)) return [];
  const twin = files.find(
    (file) => file !== ours && isReadable(file) && file.network.name === ours.network.name,
  );
  if (twin === undefined) return [];
  return [
    {
      code: "side-by-side",
      object: join(confDir, twin.file),
      message: `${ours.file} and ${twin.file} both describe the network ${ours.network.name}: kubelet and containerd use the first, podman the .conflist`,
      command: `${setupFor(confDir)} --format conflist`,
    },
  ];
}
