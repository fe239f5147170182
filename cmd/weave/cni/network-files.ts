// The network configurations in a directory as container runtimes read them: which file names count, in which order,
// and what a file must hold. Looks at files only; whether the plugins named are there is plugins.ts.
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { sortVersions } from "./versions.ts";

/** Far more than any real configuration; a device or a huge file is not read into memory. */
const MAX_BYTES = 1024 * 1024;
/** A chain is a handful; more is a mistake, and each one costs a process when it is probed. */
const MAX_PLUGINS = 64;

/** One network, as far as this program needs to know it. */
export interface Network {
  /** "" when a single-plugin file has none. */
  readonly name: string;
  /** `cniVersion` and `cniVersions` together, ascending. Which of them a runtime takes depends on its libcni. */
  readonly versions: readonly string[];
  /** Types of the plugins in the order they are called, without those that IPAM delegates to. */
  readonly chain: readonly string[];
  /** Every executable the chain needs: its plugins and their `ipam.type`, each once. */
  readonly types: readonly string[];
}

/** A file that runtimes look at. */
export type NetworkFile =
  | { readonly file: string; readonly network: Network }
  | { readonly file: string; readonly unparsable: string };

const type = z.string().regex(/^[^/\0]{1,255}$/, "is not the name of a file");
const ipam = z.looseObject({ type: z.string().nullish() }).nullish();
const plugin = z.looseObject({ type, ipam });
const versions = {
  cniVersion: z.string().nullish(),
  cniVersions: z.array(z.string()).max(MAX_PLUGINS).nullish(),
};
const single = plugin.extend({ name: z.string().nullish(), ...versions });
const list = z.looseObject({
  name: z.string().min(1),
  plugins: z.array(plugin).min(1).max(MAX_PLUGINS),
  loadOnlyInlinedPlugins: z.union([z.boolean(), z.string()]).optional(),
  ...versions,
});

/** All of them, in the order of kubelet, containerd and CRI-O. Throws the system's error when `directory` is unreadable. */
export function readNetworkFiles(directory: string): NetworkFile[] {
  return namesReadByRuntimes(directory).map((file) => {
    try {
      return { file, network: readNetwork(directory, file) };
    } catch (error) {
      return { file, unparsable: explain(error) };
    }
  });
}

/** By the last extension, sorted by name, without directories: as libcni's ConfFiles picks them. */
function namesReadByRuntimes(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .filter((name) => !lstatSync(join(directory, name)).isDirectory())
    .sort();
}

function readNetwork(directory: string, file: string): Network {
  const parsed = readJson(join(directory, file));
  if (file.endsWith(".conflist")) {
    const { name, plugins, loadOnlyInlinedPlugins, ...rest } = list.parse(parsed);
    const alone = String(loadOnlyInlinedPlugins) === "true";
    return network(name, [...plugins, ...(alone ? [] : readDropIns(directory, name))], rest);
  }
  if (typeof parsed === "object" && parsed !== null && "plugins" in parsed && !("type" in parsed)) {
    throw new Error("it is a list of plugins, which only a file named .conflist may be");
  }
  const { name, ...rest } = single.parse(parsed);
  return network(name ?? "", [rest], rest);
}

/**
 * libcni 1.3 and newer appends the files NAME/*.conf beside a list NAME to its plugins: so a chain grows although
 * nobody touched the list.
 */
export function readDropIns(directory: string, name: string): z.infer<typeof plugin>[] {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) return [];
  const folder = join(directory, name);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".conf"))
    .sort()
    .slice(0, MAX_PLUGINS)
    .map((file) => plugin.parse(readJson(join(folder, file))));
}

function network(
  name: string,
  plugins: readonly z.infer<typeof plugin>[],
  {
    cniVersion,
    cniVersions,
  }: { cniVersion?: string | null | undefined; cniVersions?: string[] | null | undefined },
): Network {
  const chain = plugins.map((each) => each.type);
  const delegates = plugins.map((each) => each.ipam?.type ?? "").filter((each) => each !== "");
  return {
    name,
    // An absent version means 0.1.0 (specification, every version).
    versions: sortVersions(new Set([cniVersion || "0.1.0", ...(cniVersions ?? [])])),
    chain,
    types: [...new Set([...chain, ...delegates])],
  };
}

function readJson(path: string): unknown {
  const { size } = checkRegular(path);
  if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Reading a named pipe would wait for ever. */
function checkRegular(path: string): { size: number } {
  const entry = statSync(path, { throwIfNoEntry: false });
  if (entry === undefined) throw new Error("it is a link that leads nowhere");
  if (!entry.isFile()) throw new Error("it is not a regular file");
  return entry;
}

function explain(error: unknown): string {
  if (error instanceof SyntaxError) return `it is not JSON: ${error.message}`;
  if (error instanceof z.ZodError) {
    const [issue] = error.issues;
    const where = issue?.path.join(".") || "it";
    return `${where}: ${issue?.message ?? "is not as it must be"}`;
  }
  return error instanceof Error ? error.message : String(error);
}
