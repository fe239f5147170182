import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asideFiles, writeAside } from "./aside-file.ts";

const AT = Date.UTC(2026, 0, 31, 12, 0, 0, 7);

describe("a state set aside", () => {
  let dir: string;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "weave-aside-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("is a JSON file of all records, for root alone, named after the date and the reason", async () => {
    const records = new Map<string, unknown>([
      ["identity", { name: "alice" }],
      ['allocation/weave/"/eth0', [1, null]],
    ]);
    const path = await writeAside(dir, records, { reason: "removed", at: AT });
    expect(path).toBe(join(dir, "aside-20260131T120000.007Z-removed.json"));
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({
      reason: "removed",
      at: "2026-01-31T12:00:00.007Z",
      records: Object.fromEntries(records),
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual(["aside-20260131T120000.007Z-removed.json"]);
  });

  it("takes the place of one that was cut short", async () => {
    writeFileSync(join(dir, "aside.unfinished"), '{"reason":"rem');
    const path = await writeAside(dir, new Map(), { reason: "name-taken", at: AT });
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ records: {} });
    expect(readdirSync(dir)).toHaveLength(1);
  });

  it("is found again, the newest first", async () => {
    for (const [seconds, reason] of [
      [1, "range"],
      [3, "name-taken"],
      [2, "joins"],
    ] as const)
      await writeAside(dir, new Map(), { reason, at: AT + seconds * 1000 });
    writeFileSync(join(dir, "peer"), "alice\n");
    expect(asideFiles(dir).map(({ reason, at }) => [reason, at - AT])).toEqual([
      ["name-taken", 3000],
      ["joins", 2000],
      ["range", 1000],
    ]);
  });

  it("is one of 32 at most", async () => {
    for (let i = 0; i < 34; i++) await writeAside(dir, new Map(), { reason: "removed", at: AT + i });
    const kept = asideFiles(dir);
    expect(kept).toHaveLength(32);
    expect([kept[0]?.at, kept.at(-1)?.at]).toEqual([AT + 33, AT + 2]);
  });
});
