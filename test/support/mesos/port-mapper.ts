// Puts the stand-in of mesos-cni-port-mapper where a Mesos agent finds it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PROGRAM = new URL("port-mapper.mjs", import.meta.url).pathname;

/** Writes an executable into a directory, which is made (libexec/mesos of an agent). */
export function installPortMapper(dir: string): void {
  mkdirSync(dir, { recursive: true });
  // Absolute paths: a plugin's PATH is the agent's.
  writeFileSync(join(dir, "mesos-cni-port-mapper"), `#!/bin/sh\nexec ${process.execPath} ${PROGRAM}\n`, {
    mode: 0o755,
  });
}
