// For tests of `setup` and `status cni`: the CNI directories of a host, and plugins that answer VERSION and no more.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Outcome, temporaryDirectory, weave } from "./harness.ts";

export const ALL_VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/** What Debian's plugins speak. */
export const OLDER_VERSIONS = ALL_VERSIONS.slice(0, -1);

export interface CniHost {
  /** Everything is in here. */
  readonly path: string;
  readonly bin: string;
  readonly conf: string;
  readonly data: string;
  /** What the build leaves for setup; `mark` makes its content differ. */
  build(mark?: string): void;
  /** `weave setup` for the two directories. */
  setup(...words: string[]): Promise<Outcome>;
  /** `weave setup` with nothing but the data and run directory. */
  bareSetup(...words: string[]): Promise<Outcome>;
  /** `weave status cni` for the two directories. */
  status(...words: string[]): Promise<Outcome>;
  /** Writes a configuration; an object as JSON. */
  configure(file: string, content: unknown): string;
  /** Text of a configuration, parsed. */
  configured(file: string): unknown;
  remove(): void;
}

/** Has a plugin "loopback" and a build of weave-net. */
export function cniHost(): CniHost {
  const directory = temporaryDirectory();
  const { path } = directory;
  const [bin, conf, data] = [join(path, "bin"), join(path, "net.d"), join(path, "data")];
  for (const each of [bin, conf, join(path, "programs")]) mkdirSync(each);
  installPlugin(join(bin, "loopback"), OLDER_VERSIONS);
  const places = ["--cni-bin-dir", bin, "--cni-conf-dir", conf];
  const state = ["--run-dir", join(path, "run"), "--data-dir", data];
  const run = (...words: string[]): Promise<Outcome> => weave(words, join(path, "programs"));
  const host: CniHost = {
    path,
    bin,
    conf,
    data,
    build: (mark = "first") => installPlugin(join(path, "programs/weave-net"), ALL_VERSIONS, mark),
    setup: (...words) => run("setup", ...places, ...state, ...words),
    bareSetup: (...words) => run("setup", ...state, ...words),
    status: (...words) => run("status", "cni", ...places, ...state, ...words),
    configure(file, content) {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      writeFileSync(join(conf, file), text);
      return text;
    },
    configured: (file) => JSON.parse(readFileSync(join(conf, file), "utf8")),
    remove: () => directory.remove(),
  };
  host.build();
  return host;
}

/** A plugin that answers VERSION, and without a command who it is, as ours does. */
export function installPlugin(
  path: string,
  versions: readonly string[],
  mark = "",
  weaveVersion = "0.1.0",
): void {
  const answer = JSON.stringify({ cniVersion: versions.at(-1), supportedVersions: versions });
  writeFileSync(
    path,
    `#!/bin/sh
case "$CNI_COMMAND" in
VERSION) echo '${answer}' ;;
"") echo "weave-net ${weaveVersion}: ${mark}" >&2 ;;
esac
`,
  );
  chmodSync(path, 0o755);
}

/** Lines of one action, without the directory. */
export function did({ stdout }: Outcome, action: string, { path }: { readonly path: string }): string[] {
  return stdout
    .split("\n")
    .filter((line) => line.startsWith(`${action} `))
    .map((line) => line.slice(11).replaceAll(`${path}/`, ""));
}
