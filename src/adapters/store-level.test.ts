// What is LevelDB's alone: the directory, damage to it, and words for it. The rest is in test/conformance/store.ts.
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Level } from "level";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openLevelStore } from "./store-level.ts";

describe("LevelDB store", () => {
  let root: string;
  let dir: string;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "weave-level-"));
    dir = join(root, "deep/db");
    const store = await openLevelStore(dir);
    await store.write([{ type: "put", key: "ring", value: 1 }], { sync: true });
    await store.close();
  });
  afterEach(() => {
    chmodSync(root, 0o700);
    rmSync(root, { recursive: true, force: true });
  });

  it("creates its directory for its owner alone", () => {
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it("tells what is in the way of its directory", async () => {
    writeFileSync(join(root, "file"), "");
    await expect(openLevelStore(join(root, "file/db"))).rejects.toMatchObject({
      code: "storage",
      hint: expect.stringContaining("--data-dir"),
    });
  });

  it.each([
    ["a CURRENT that leads nowhere", (at: string) => writeFileSync(join(at, "CURRENT"), "MANIFEST-999999\n")],
    ["an empty CURRENT", (at: string) => writeFileSync(join(at, "CURRENT"), "")],
    ["no CURRENT", (at: string) => rmSync(join(at, "CURRENT"))],
    ["a damaged MANIFEST", (at: string) => damageManifest(at)],
  ])("refuses %s and does not start anew", async (_, damage) => {
    damage(dir);
    const before = records(dir);
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(openLevelStore(dir)).rejects.toMatchObject({
        code: "storage",
        message: expect.stringContaining(dir),
        hint: expect.stringContaining("backup"),
      });
    }
    expect(records(dir)).toEqual(before);
  });

  it("opens a directory whose first opener died before it wrote a thing", async () => {
    const young = join(root, "young");
    const store = await openLevelStore(young);
    await store.close();
    for (const name of readdirSync(young)) if (name !== "LOCK") rmSync(join(young, name));
    await (await openLevelStore(young)).close();
  });

  it("names the record that is not JSON", async () => {
    const db = new Level<string, string>(dir);
    await db.put("peer/bob", "{half");
    await db.close();
    const store = await openLevelStore(dir);
    await expect(store.load()).rejects.toMatchObject({
      code: "storage",
      message: expect.stringContaining('"peer/bob"'),
    });
    await store.close();
  });
});

function damageManifest(dir: string): void {
  const name = readdirSync(dir).find((entry) => entry.startsWith("MANIFEST"));
  if (name === undefined) throw new Error("no MANIFEST");
  writeFileSync(join(dir, name), Buffer.alloc(100, 0x5a));
}

/** The files that hold records, with their sizes. */
function records(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => /\.(log|ldb)$/.test(name))
    .map((name) => `${name} ${statSync(join(dir, name)).size}`);
}
