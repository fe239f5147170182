import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WeaveError } from "../core/errors.ts";
import { createLogger, type LogLevel } from "./log.ts";

describe("logger", () => {
  let dir: string;
  let file: string;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "weave-log-"));
    file = join(dir, "weaver.log");
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const logger = (level: LogLevel) => createLogger({ level, name: "weaver", destination: file });
  const lines = (): unknown[] =>
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line): unknown => JSON.parse(line));

  it("writes one JSON object per line, data apart", () => {
    logger("info").info("peer is up", { peer: "alice", level: "mine", time: 1 });
    expect(lines()).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        name: "weaver",
        data: { peer: "alice", level: "mine", time: 1 },
        msg: "peer is up",
      },
    ]);
  });

  it("keeps what a peer says on its line", () => {
    logger("info").info("reason", { text: 'x\n{"level":"error"}\u001b[31m' });
    expect(lines()).toHaveLength(1);
    expect(readFileSync(file, "utf8")).not.toContain("\u001b");
  });

  it("leaves out what is below its level", () => {
    const log = logger("warn");
    log.debug("d");
    log.info("i", { a: 1 });
    log.warn("w");
    log.error("e");
    expect(lines()).toMatchObject([{ msg: "w" }, { msg: "e" }]);
  });

  it("shows errors with code and cause", () => {
    const cause = new Error("No space left on device");
    logger("error").error("write failed", {
      error: new WeaveError("storage", "cannot write", { cause, hint: "free some" }),
    });
    expect(lines()).toMatchObject([
      {
        data: {
          error: { code: "storage", hint: "free some", message: "cannot write: No space left on device" },
        },
      },
    ]);
  });

  it("survives data that JSON cannot take", () => {
    const circular: Record<string, unknown> = { big: 10n };
    circular["self"] = circular;
    logger("info").info("odd", { circular });
    expect(lines()).toHaveLength(1);
  });

  it("appends, and only its group may read", () => {
    logger("info").info("one");
    logger("info").info("two");
    expect(lines()).toMatchObject([{ msg: "one" }, { msg: "two" }]);
    expect(statSync(file).mode & 0o007).toBe(0);
  });

  it("writes to an open descriptor", () => {
    const fd = openSync(file, "a");
    createLogger({ level: "info", name: "weaver", destination: fd }).info("x");
    closeSync(fd);
    expect(lines()).toHaveLength(1);
  });

  it("is not ended by a full disk", () => {
    const log = createLogger({ level: "info", name: "weaver", destination: "/dev/full" });
    for (let i = 0; i < 100; i++) log.info("lost", { i });
  });
});
