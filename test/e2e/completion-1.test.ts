// Completion in the shells themselves, as each of them loads it, with the installed command behind it.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { debianPackages } from "../support/debian.ts";

const PROGRAMS = new URL("../../dist/bin/", import.meta.url).pathname;
const found = debianPackages("shells", ["zsh", "zsh-common", "fish", "fish-common", "libpcre2-32-0"]);
const root = "root" in found ? found.root : "";

const env = {
  PATH: `${PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin`,
  LD_LIBRARY_PATH: ["usr/lib", "lib"].map((lib) => join(root, lib, "x86_64-linux-gnu")).join(":"),
  XDG_DATA_DIRS: join(root, "usr/share"),
  HOME: "/nonexistent",
};
const run = (program: string, ...words: string[]): string =>
  execFileSync(program, words, { encoding: "utf8", env });
const lines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.split("\t")[0] ?? "")
    .filter(Boolean)
    .sort();

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "weave-completion-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What is offered for the last word of a command line. */
const SHELLS: Readonly<Record<string, (line: string) => string[]>> = {
  bash(line) {
    const words = line.split(" ");
    const typed = words.map((word) => `'${word}'`).join(" ");
    const program = `
      source <(weave completion bash)
      COMP_WORDS=(${typed}) COMP_CWORD=${words.length - 1}
      $(complete -p weave | sed "s/.*-F \\([^ ]*\\).*/\\1/")
      printf "%s\\n" "\${COMPREPLY[@]}"`;
    return lines(run("bash", "-c", program));
  },
  // As a file of fpath, in a shell that completes with it for the first time.
  zsh(line) {
    const fpath = join(dir, "zsh");
    mkdirSync(fpath, { recursive: true });
    writeFileSync(join(fpath, "_weave"), run(join(PROGRAMS, "weave"), "completion", "zsh"));
    const words = line.split(" ");
    const typed = words.map((word) => `'${word}'`).join(" ");
    const program = [
      `module_path=(${root}/usr/lib/x86_64-linux-gnu/zsh/*)`,
      `fpath=(${fpath} $fpath)`,
      "autoload -Uz _weave",
      // What compadd does with the words it is given, outside of the line editor.
      'compadd() { shift; for word; do [[ $word == $words[CURRENT]* ]] && print -r -- "$word"; done; true }',
      `words=(${typed}) CURRENT=${words.length}`,
      "_weave",
    ].join("\n");
    return lines(run(join(root, "bin/zsh"), "-f", "-c", program));
  },
  fish(line) {
    const program = [
      `set fish_function_path ${join(root, "usr/share/fish/functions")}`,
      "weave completion fish | source",
      `complete -C '${line}'`,
    ].join("; ");
    return lines(run(join(root, "usr/bin/fish"), "--no-config", "-c", program));
  },
};

describe.each(Object.entries(SHELLS))("%s", (shell, offered) => {
  it("completes verbs, sections, options and their values", (ctx) => {
    if (shell !== "bash" && "lacking" in found) return ctx.skip(`no zsh and fish: ${found.lacking}`);
    expect(offered("weave att")).toEqual(["attach"]);
    expect(offered("weave ")).toEqual(expect.arrayContaining(["help", "launch", "report", "status"]));
    expect(offered("weave status con")).toEqual(["connections"]);
    expect(offered("weave launch --log-level w")).toEqual(["warn"]);
    expect(offered("weave launch --status-a")).toEqual(["--status-addr"]);
    expect(offered("weave help det")).toEqual(["detach"]);
    expect(offered("weave completion z")).toEqual(["zsh"]);
    expect(offered("weave rmpeer x")).toEqual([]); // no daemon, and no error in the middle of the line
  });
});
