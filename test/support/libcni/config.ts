// Network configurations: lists and single plugins, which become lists of one, and the choice among the versions a
// list offers.
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { isObject, type JsonObject } from "../../kernel/support/namespaces.ts";
import { goJson } from "./json.ts";
import { compareVersions } from "./version.ts";

/** The newest version this library knows. */
export const NEWEST = "1.1.0";

export type PluginConfig = JsonObject & { readonly type: string };

export interface Network {
  readonly name: string;
  /** The chosen one; empty when the configuration has none. */
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly plugins: readonly PluginConfig[];
  /** As a list, the way the cache keeps it. */
  readonly bytes: string;
}

/** A list (it has `plugins`) or a single plugin. `newest`: what the library of that runtime knows. */
export function parseNetwork(config: string | JsonObject, newest: string = NEWEST): Network {
  const parsed: unknown = typeof config === "string" ? JSON.parse(config) : config;
  if (!isObject(parsed)) throw new Error("a network configuration must be an object");
  const list = Array.isArray(parsed["plugins"]) ? parsed : wrapped(parsed);
  const plugins = (Array.isArray(list["plugins"]) ? list["plugins"] : []).filter(isPlugin);
  const name = list["name"];
  if (typeof name !== "string" || name === "") throw new Error("a network configuration must have a name");
  if (plugins.length === 0) throw new Error(`network ${name}: no plugins, or one without a type`);
  return {
    name,
    cniVersion: chosenVersion(list, newest),
    disableCheck: isTrue(list["disableCheck"]),
    disableGC: isTrue(list["disableGC"]),
    plugins,
    bytes: goJson(list),
  };
}

/** By name, as cnitool finds it: lists first, then the rest, each sorted; a broken file before it ends the search. */
export function loadNetwork(dir: string, name: string, newest: string = NEWEST): Network {
  for (const extensions of [[".conflist"], [".conf", ".json"]]) {
    for (const file of confFiles(dir, extensions)) {
      const network = parseNetwork(readFileSync(file, "utf8"), newest);
      if (network.name === name) return network;
    }
  }
  throw new Error(`no net configuration with name "${name}" in ${dir}`);
}

/** Files with one of these last extensions, sorted. */
export function confFiles(dir: string, extensions: readonly string[]): string[] {
  const entries = readdirSync(dir, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
  const names = entries.map(({ name }) => name).filter((file) => extensions.includes(extname(file)));
  return names.sort().map((file) => join(dir, file));
}

function wrapped(plugin: JsonObject): JsonObject {
  const { name, cniVersion } = plugin;
  return { name, plugins: [plugin], ...(cniVersion === undefined ? {} : { cniVersion }) };
}

/** The highest of `cniVersion` and `cniVersions` that is known; libraries before 1.1.0 know only the first. */
function chosenVersion(list: JsonObject, newest: string): string {
  const single = typeof list["cniVersion"] === "string" ? list["cniVersion"] : "";
  const offered = Array.isArray(list["cniVersions"]) ? list["cniVersions"].map(String) : [];
  if (offered.length === 0 || compareVersions(newest, "1.1.0") < 0) return single;
  const known = offered.filter((version) => compareVersions(version, newest) <= 0);
  return [...known, ...(single === "" ? [] : [single])].sort(compareVersions).at(-1) ?? "";
}

const isTrue = (value: unknown): boolean => value === true || value === "true";

const isPlugin = (value: unknown): value is PluginConfig =>
  isObject(value) && typeof value["type"] === "string" && value["type"] !== "";
