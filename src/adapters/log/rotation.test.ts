import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLogger } from "../log.ts";
import { isJournal, withPriority } from "./journal.ts";
import { createRotation, isFile } from "./rotation.ts";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "weave-log-"));
  path = join(dir, "weaver.log");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const read = (name: string): string => readFileSync(join(dir, name), "utf8");

describe("rotation", () => {
  it("sets full files aside, the newest as .1, and keeps so many", () => {
    const fd = openSync(path, "a");
    const wrote = createRotation(path, 10, 2);
    for (const line of ["one 45678\n", "two 45678\n", "three 678\n", "four\n"]) {
      writeSync(fd, line);
      wrote(line);
    }
    closeSync(fd);
    expect([read("weaver.log"), read("weaver.log.1"), read("weaver.log.2")]).toEqual([
      "four\n",
      "three 678\n",
      "two 45678\n",
    ]);
    expect(existsSync(`${path}.3`)).toBe(false);
  });

  it("counts what was there before, and others may write to the same file", () => {
    appendFileSync(path, "before\n");
    const fd = openSync(path, "a");
    const wrote = createRotation(path, 10, 2);
    writeSync(fd, "a crash\n");
    wrote("a crash\n");
    writeSync(fd, "after\n");
    closeSync(fd);
    expect([read("weaver.log.1"), read("weaver.log")]).toEqual(["before\na crash\n", "after\n"]);
  });

  it("never throws", () => {
    const wrote = createRotation(join(dir, "nothing", "here"), 1, 2);
    expect(() => wrote("a line")).not.toThrow();
  });

  it("is what a logger with a rotating file does", () => {
    const log = createLogger({
      level: "info",
      name: "weaver",
      destination: path,
      rotate: { path, maxBytes: 300 },
    });
    for (let number = 0; number < 5; number++) log.info(`line ${number}`, { filler: "x".repeat(50) });
    const all = ["weaver.log.2", "weaver.log.1", "weaver.log"].map((name) =>
      existsSync(join(dir, name)) ? read(name) : "",
    );
    expect(all.join("").match(/line \d/g)).toEqual(["line 0", "line 1", "line 2", "line 3", "line 4"]);
    expect(read("weaver.log").length).toBeLessThan(300);
  });
});

it("knows its own file", () => {
  const fd = openSync(path, "a");
  expect([isFile(fd, path), isFile(fd, dir), isFile(fd, join(dir, "none"))]).toEqual([true, false, false]);
  closeSync(fd);
});

describe("the journal", () => {
  it("is what JOURNAL_STREAM names, and nothing else", () => {
    const fd = openSync(path, "a");
    const { dev, ino } = statSync(path);
    expect(isJournal(fd, `${dev}:${ino}`)).toBe(true);
    for (const other of [undefined, "", "1:2"]) expect(isJournal(fd, other)).toBe(false);
    closeSync(fd);
  });

  it("gets a priority with each line", () => {
    const log = createLogger({ level: "debug", name: "weaver", destination: path, journal: true });
    log.debug("d");
    log.info("i");
    log.warn("w", { a: 1 });
    log.error("e");
    expect(
      read("weaver.log")
        .split("\n")
        .map((line) => line.slice(0, 3)),
    ).toEqual(["<7>", "<6>", "<4>", "<3>", ""]);
    expect(withPriority("no JSON\n")).toBe("<6>no JSON\n");
  });
});
