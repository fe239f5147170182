// Which networks a Mesos agent has: its reading of the configuration directory (--network_cni_config_dir) against the
// executables in --network_cni_plugins_dir.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseConfiguration } from "./spec.ts";

export interface LoadedNetworks {
  /** Name of the network to path of its file. */
  readonly paths: ReadonlyMap<string, string>;
  /** File name to the reason why it is no network. */
  readonly skipped: ReadonlyMap<string, string>;
}

/**
 * Every regular file is read, whatever it is called: Mesos knows no extensions. A list of plugins has no `type` and is
 * skipped; so is a network whose plugin or `ipam.type` is not an executable in the search path, and one whose `ipam`
 * has no `type`.
 */
export function loadNetworks(configDir: string, pluginsDir: string): LoadedNetworks {
  const paths = new Map<string, string>();
  const skipped = new Map<string, string>();
  for (const file of readdirSync(configDir)) {
    const path = join(configDir, file);
    if (!statSync(path).isFile()) continue;
    try {
      const { name, type, ipam } = parseConfiguration(readFileSync(path, "utf8"));
      if (paths.has(name)) throw new Error(`network ${name} is configured already`);
      for (const plugin of [type, ...(ipam ? [ipam.type] : [])]) {
        if (which(plugin, pluginsDir) === undefined) throw new Error(`no plugin ${plugin} in ${pluginsDir}`);
      }
      paths.set(name, path);
    } catch (error) {
      skipped.set(file, error instanceof Error ? error.message : String(error));
    }
  }
  return { paths, skipped };
}

/** An executable of that name in a search path: unlike libcni, Mesos looks at the x bits. */
export function which(name: string, searchPath: string): string | undefined {
  return searchPath
    .split(":")
    .map((dir) => join(dir, name))
    .find((path) => {
      const entry = statSync(path, { throwIfNoEntry: false });
      return entry?.isFile() === true && (entry.mode & 0o111) !== 0;
    });
}
