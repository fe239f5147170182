// Which networks CRI-O has: its reading of the configuration directory.
import { readFileSync } from "node:fs";
import { confFiles } from "../libcni/config.ts";
import { type Libcni, type Network, parseNetwork } from "../libcni/libcni.ts";

export interface LoadedNetwork {
  readonly file: string;
  readonly network: Network;
}

/** Sorted; only networks whose every plugin speaks their version, by VERSION; of one name the first. */
export async function loadNetworks(confDir: string, cni: Libcni): Promise<readonly LoadedNetwork[]> {
  const loaded: LoadedNetwork[] = [];
  for (const file of confFiles(confDir, [".conf", ".conflist", ".json"])) {
    try {
      const text = readFileSync(file, "utf8");
      const isList = "plugins" in JSON.parse(text);
      if (isList !== file.endsWith(".conflist")) continue;
      const network = parseNetwork(text);
      await cni.validate(network);
      if (loaded.every((other) => other.network.name !== network.name)) loaded.push({ file, network });
    } catch {
      // Logged and passed over there.
    }
  }
  return loaded;
}
