import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { followJournal, type JournalledRelease, type ReleaseJournal } from "./release-journal.ts";

const entry = (containerId: string): JournalledRelease => ({
  network: "weave",
  containerId,
  ifname: "eth0",
  bootId: "b",
  bootMs: 1,
});

let parent: string;
let dir: string;
let journal: ReleaseJournal | undefined;
const applied: string[] = [];
const warnings: string[] = [];
const silent = (): void => {};
const log = { debug: silent, info: silent, error: silent, warn: (text: string) => warnings.push(text) };

/** As the forwarder does: under a name with a dot first. */
function write(file: string, containerId: string): void {
  writeFileSync(join(dir, `.${file}`), JSON.stringify(entry(containerId)));
  renameSync(join(dir, `.${file}`), join(dir, file));
}

async function follow(
  apply: (entry: JournalledRelease) => Promise<void> = async ({ containerId }) => {
    applied.push(containerId);
  },
): Promise<void> {
  journal = await followJournal(dir, apply, log);
}

beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), "weave-journal-"));
  dir = join(parent, "journal");
  applied.length = 0;
  warnings.length = 0;
  await follow();
  await journal?.close();
});

afterEach(async () => {
  await journal?.close();
  journal = undefined;
  rmSync(parent, { recursive: true });
});

describe("followJournal", () => {
  it("makes the directory, for root alone", () => {
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it("has applied what was there when it resolves, in order, and removed it", async () => {
    write("2.json", "c2");
    write("1.json", "c1");
    await follow();
    expect(applied).toEqual(["c1", "c2"]);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("hands on the whole entry", async () => {
    const seen: JournalledRelease[] = [];
    write("1.json", "c1");
    await follow(async (release) => void seen.push(release));
    expect(seen).toEqual([entry("c1")]);
  });

  it("applies what comes later, once each", async () => {
    await follow();
    for (const id of ["c1", "c2", "c3"]) write(`${id}.json`, id);
    await vi.waitFor(() => expect(readdirSync(dir)).toEqual([]), { timeout: 5_000 });
    expect(applied.sort()).toEqual(["c1", "c2", "c3"]);
  });

  it("takes the next only when one is done", async () => {
    let running = 0;
    let most = 0;
    write("1.json", "c1");
    const following = follow(async ({ containerId }) => {
      most = Math.max(most, ++running);
      if (containerId === "c1") write("2.json", "c2"); // is seen while c1 is under way
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      applied.push(containerId);
    });
    await following;
    await vi.waitFor(() => expect(applied).toEqual(["c1", "c2"]), { timeout: 5_000 });
    expect(most).toBe(1);
  });

  it.each([
    ["no JSON", "{"],
    ["an empty file", ""],
    ["no release", '{"network":"weave"}'],
    ["a release of nobody", JSON.stringify(entry(""))],
    ["more than a release can be", JSON.stringify({ ...entry("c1"), padding: "x".repeat(70_000) })],
  ])("%s is dropped with a word, and what follows is applied", async (_, text) => {
    writeFileSync(join(dir, "1.json"), text);
    write("2.json", "c2");
    await follow();
    expect(applied).toEqual(["c2"]);
    expect(warnings).toEqual(["journal entry does not parse; it is dropped"]);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("leaves alone what is still being written, and what is none of its own", async () => {
    for (const file of [".1.json", "notes.txt"]) writeFileSync(join(dir, file), '{"network":');
    await follow();
    expect(warnings).toEqual([]);
    expect(readdirSync(dir).sort()).toEqual([".1.json", "notes.txt"]);
    writeFileSync(join(dir, ".1.json"), JSON.stringify(entry("c1")));
    renameSync(join(dir, ".1.json"), join(dir, "1.json"));
    await vi.waitFor(() => expect(applied).toEqual(["c1"]), { timeout: 5_000 });
  });

  it("keeps an entry that could not be applied, and tries it again when another comes", async () => {
    let ready = false;
    write("1.json", "c1");
    await follow(async ({ containerId }) => {
      if (!ready) throw new Error("stopping");
      applied.push(containerId);
    });
    expect(existsSync(join(dir, "1.json"))).toBe(true);
    expect(warnings).toEqual(["journal could not be applied; it is tried again"]);
    ready = true;
    write("2.json", "c2");
    await vi.waitFor(() => expect(readdirSync(dir)).toEqual([]), { timeout: 5_000 });
    expect(applied).toEqual(["c1", "c2"]);
  });

  it("close waits for the one under way", async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    await follow(async ({ containerId }) => {
      applied.push(`${containerId} begun`);
      await held;
      applied.push(`${containerId} done`);
    });
    write("1.json", "c1");
    await vi.waitFor(() => expect(applied).toEqual(["c1 begun"]), { timeout: 5_000 });
    const closing = journal?.close().then(() => applied.push("closed"));
    release();
    await closing;
    expect(applied).toEqual(["c1 begun", "c1 done", "closed"]);
  });
});
