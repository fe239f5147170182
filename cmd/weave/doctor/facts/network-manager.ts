// What NetworkManager makes of links, as nmcli tells it, and whether its configuration leaves ours alone.
import { join } from "node:path";
import { ask } from "./command.ts";
import { pathsIn, textOf } from "./files.ts";

/** State of each device by name; empty without nmcli. */
export async function deviceStates(): Promise<ReadonlyMap<string, string>> {
  const text = (await ask("nmcli", ["-t", "-f", "DEVICE,STATE", "device"])) ?? "";
  return parseStates(text);
}

/** nmcli's terse form: a colon between the fields, one inside a field behind a backslash. */
export function parseStates(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split("\n").flatMap((line) => {
      const [, device, state] = /^((?:\\.|[^\\:])+):(.*)$/.exec(line) ?? [];
      return device === undefined || state === undefined ? [] : [[device.replace(/\\(.)/g, "$1"), state]];
    }),
  );
}

/** Its configuration names the bridge among the devices it must leave alone (NetworkManager.conf(5)). */
export function isToldOff(root: string, bridge: string): boolean {
  const paths = [
    join(root, "etc/NetworkManager/NetworkManager.conf"),
    ...["usr/lib", "run", "etc"].flatMap((each) =>
      pathsIn(join(root, each, "NetworkManager/conf.d"), /\.conf$/),
    ),
  ];
  const lines = paths.flatMap((path) => (textOf(path) ?? "").split("\n"));
  return lines.some(
    (line) => /^\s*unmanaged-devices\s*\+?=/.test(line) && line.includes(`interface-name:${bridge}`),
  );
}
