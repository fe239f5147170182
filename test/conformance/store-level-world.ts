// A LevelDB directory for the store suite, and processes that write to it and are killed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { openLevelStore } from "../../src/adapters/store-level.ts";
import type { StoreWorld } from "./store.ts";

/** Bundles the writing process; the result is the path of its script, to be removed by the caller. */
export async function buildCrashChild(): Promise<string> {
  // Inside node_modules, because `level` stays outside of the bundle (it is native) and is looked up from there.
  const cache = fileURLToPath(new URL("../../node_modules/.cache/", import.meta.url));
  const outfile = join(cache, `weave-store-crash-child-${process.pid}.mjs`);
  await build({
    entryPoints: [fileURLToPath(new URL("./store-crash-child.ts", import.meta.url))],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    logLevel: "error",
  });
  return outfile;
}

export async function createLevelWorld(childScript: string): Promise<StoreWorld> {
  const root = await mkdtemp(join(tmpdir(), "weave-store-"));
  const dir = join(root, "db");
  return {
    open: () => openLevelStore(dir),
    async writeAndKill(first, killAfter) {
      const child = spawn(process.execPath, [childScript, dir, String(first)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const exited = once(child, "exit");
      let acknowledged = first - 1;
      for await (const line of createInterface({ input: child.stdout })) {
        const batch = Number(line);
        if (batch !== acknowledged + 1) throw new Error(`batch ${batch} acknowledged after ${acknowledged}`);
        acknowledged = batch;
        if (acknowledged >= killAfter) child.kill("SIGKILL");
      }
      const [code, signal] = await exited;
      if (signal !== "SIGKILL") throw new Error(`the writer ended by itself: code ${code}, signal ${signal}`);
      return acknowledged;
    },
    dispose: () => rm(root, { recursive: true, force: true }),
  };
}
