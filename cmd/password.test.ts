import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WeaveError } from "../src/core/errors.ts";
import { addPasswordOptions, passwordEnvironment, takePassword } from "./password.ts";
import { temporaryDirectory } from "./weave/testing/harness.ts";

const SECRET = "grey heron 7";

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function take(words: string[], env: NodeJS.ProcessEnv = {}) {
  const command = addPasswordOptions(new Command()).exitOverride();
  command.parse(words, { from: "user" });
  return takePassword(command.opts(), env);
}

function file(text: string, mode = 0o600): string {
  const path = join(directory.path, "password");
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function refusal(words: string[], env: NodeJS.ProcessEnv = {}): WeaveError {
  try {
    take(words, env);
  } catch (error) {
    if (error instanceof WeaveError) return error;
    throw error;
  }
  throw new Error("was taken");
}

describe("a password", () => {
  it("is none by default, and with an empty variable", () => {
    expect(take([]).password).toBeUndefined();
    expect(take([], { WEAVE_PASSWORD: "" }).password).toBeUndefined();
    expect(passwordEnvironment(undefined)).toEqual({});
  });

  it.each([
    ["an option", () => take(["--password", SECRET])],
    ["an option in one word", () => take([`--password=${SECRET}`])],
    ["a variable", () => take([], { WEAVE_PASSWORD: SECRET })],
    ["a file", () => take(["--password-file", file(`${SECRET}\n`)])],
    ["a file of Windows", () => take(["--password-file", file(`${SECRET}\r\n`)])],
    ["a file without a newline", () => take(["--password-file", file(SECRET)])],
    ["an option rather than a variable", () => take(["--password", SECRET], { WEAVE_PASSWORD: "another" })],
    ["a file rather than a variable", () => take(["--password-file", file(SECRET)], { WEAVE_PASSWORD: "x" })],
    ["the variable made for a child", () => take([], { ...passwordEnvironment(SECRET) })],
  ])("comes from %s", (_, taken) => {
    expect(taken()).toEqual({ password: SECRET, warnings: [] });
  });

  it("keeps blanks", () => {
    expect(take(["--password-file", file(" a b \n\n".replace(/\n$/, ""))]).password).toBe(" a b ");
  });

  it("is left to no child, whichever is used", () => {
    for (const words of [[], ["--password", SECRET]]) {
      const env = { WEAVE_PASSWORD: "inherited" };
      take(words, env);
      expect(env).toEqual({});
    }
  });

  it.each([0o640, 0o604])("in a file of mode %o is taken with a warning", (mode) => {
    const { password, warnings } = take(["--password-file", file(SECRET, mode)]);
    expect(password).toBe(SECRET);
    expect(warnings).toEqual([expect.stringContaining("chmod 600")]);
  });

  it.each([
    ["both options", () => refusal(["--password", SECRET, "--password-file", "x"]), "one of them"],
    ["an empty option", () => refusal(["--password", ""]), "empty"],
    ["an empty file", () => refusal(["--password-file", file("\n")]), "empty"],
    ["no file", () => refusal(["--password-file", "/nonexistent/password"]), "ENOENT"],
    ["a directory", () => refusal(["--password-file", "/"]), "EISDIR"],
    ["two lines", () => refusal(["--password-file", file(`${SECRET}\nmore\n`)]), "several lines"],
    ["a long file", () => refusal(["--password-file", file("x".repeat(1027))]), "longer"],
    ["a long option", () => refusal(["--password", "é".repeat(513)]), "longer"],
    ["a long variable", () => refusal([], { WEAVE_PASSWORD: "x".repeat(1025) }), "WEAVE_PASSWORD"],
  ])("is refused: %s", (_, refused, says) => {
    const error = refused();
    expect(error.code).toBe("bad-request");
    expect(error.message).toContain(says);
    expect(`${error.message}${error.hint}`).not.toContain(SECRET);
  });
});
