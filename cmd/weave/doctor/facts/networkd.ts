// What systemd-networkd makes of links: its state of each (/run/systemd/netif/links/IFINDEX, as sd-network reads it) and the
// .network files that would take a link of some name (systemd.network(5)).
import { basename, join } from "node:path";
import { pathsIn, textOf } from "./files.ts";

/** The state of one link. */
export interface NetworkdLink {
  /** ADMIN_STATE: "unmanaged", "configuring", "configured", "failed", ... */
  readonly state: string;
  /** The file it was taken by. */
  readonly file: string | undefined;
}

/** The file that takes a link. */
export interface NetworkFile {
  readonly path: string;
  /** It says Unmanaged=yes. */
  readonly leaves: boolean;
}

export function networkdLink(root: string, index: number): NetworkdLink | undefined {
  const text = textOf(join(root, "run/systemd/netif/links", String(index)));
  if (text === undefined) return undefined;
  const value = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, "m").exec(text)?.[1];
  return { state: value("ADMIN_STATE") ?? "unknown", file: value("NETWORK_FILE") };
}

/** In the order networkd goes through them: by name, whatever the directory; a name in /etc hides the same elsewhere. */
export function networkFiles(root: string): { path: string; text: string }[] {
  const byName = new Map<string, string>();
  for (const directory of ["usr/lib", "usr/local/lib", "run", "etc"])
    for (const path of pathsIn(join(root, directory, "systemd/network"), /\.network$/))
      byName.set(basename(path), path);
  return [...byName.keys()].sort().flatMap((name) => {
    const path = byName.get(name) ?? "";
    const text = textOf(path);
    return text === undefined ? [] : [{ path, text }];
  });
}

/** The first file whose Name= or Kind= takes a link; files that match by other things are taken not to. */
export function fileFor(
  files: readonly { readonly path: string; readonly text: string }[],
  link: { readonly name: string; readonly kind: string },
): NetworkFile | undefined {
  const found = files.find(({ text }) => takes(text, link));
  if (found === undefined) return undefined;
  return { path: found.path, leaves: /^\s*Unmanaged\s*=\s*(yes|true|1|on)\s*$/im.test(found.text) };
}

function takes(text: string, { name, kind }: { readonly name: string; readonly kind: string }): boolean {
  const match = /^\[Match\]\s*$([\s\S]*?)(?=^\[|$(?![\s\S]))/m.exec(text)?.[1] ?? "";
  const conditions = [...match.matchAll(/^\s*(\w+)\s*=\s*(.*?)\s*$/gm)].map(([, key = "", value = ""]) => ({
    key,
    patterns: value.split(/\s+/),
  }));
  const subjects: Readonly<Record<string, string>> = { Name: name, Kind: kind, Driver: kind };
  return (
    conditions.length > 0 &&
    conditions.every(({ key, patterns }) => {
      const subject = key === "Type" ? (kind === "bridge" ? "bridge" : "ether") : subjects[key];
      return subject !== undefined && isOneOf(subject, patterns);
    })
  );
}

/** With a "!" in front of the first they are what it must not be. */
function isOneOf(subject: string, [first = "", ...rest]: readonly string[]): boolean {
  const isNot = first.startsWith("!");
  const patterns = [isNot ? first.slice(1) : first, ...rest];
  return patterns.some((pattern) => globToRegExp(pattern).test(subject)) !== isNot;
}

function globToRegExp(glob: string): RegExp {
  const escaped = glob
    .replace(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${escaped}$`);
}
