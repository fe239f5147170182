import { execFileSync, spawnSync } from "node:child_process";
import { beforeAll, describe, expect, it } from "vitest";
import { ownRunDir } from "../../test/support/run-dir.ts";
import { weave } from "./testing/harness.ts";
import { healthy } from "./testing/statuses.ts";

const runDir = ownRunDir();

describe("bash", () => {
  let script = "";
  beforeAll(async () => {
    script = (await weave(["completion", "bash"])).stdout;
  });

  /** What is offered for the last word; `peers` is what the daemon would answer. */
  function offered(...words: string[]): string[] {
    const line = ["weave", ...words].map((word) => `'${word}'`).join(" ");
    const program = `weave() { printf 'bob\\ncarol\\n'; }\n${script}\nCOMP_WORDS=(${line})\nCOMP_CWORD=${words.length}\n_weave\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", program], { encoding: "utf8" }).split("\n").filter(Boolean);
  }

  it("completes verbs, options, sections, choices and peers", () => {
    expect(offered("at")).toEqual(["attach"]);
    expect(offered("")).toContain("report");
    expect(offered("status", "con")).toEqual(["connections"]);
    expect(offered("status", "cn")).toEqual(["cni"]);
    expect(offered("launch", "--status-a")).toEqual(["--status-addr"]);
    expect(offered("launch", "--log-level", "w")).toEqual(["warn"]);
    expect(offered("launch", "--run-dir", "")).toEqual([]); // file names
    expect(offered("rmpeer", "ca")).toEqual(["carol"]);
    expect(offered("help", "ps")).toEqual(["ps"]);
  });
});

describe.each([
  ["zsh", ["-n"]],
  ["fish", ["--no-execute"]],
])("%s", (shell, check) => {
  it("has every verb and its options", async () => {
    const { stdout, code } = await weave(["completion", shell]);
    expect(code).toBe(0);
    for (const word of ["attach", "report", "status-addr", "connections", "debug"])
      expect(stdout).toContain(word);
    const parsed = spawnSync(shell, check, { input: stdout, encoding: "utf8" });
    if (parsed.error === undefined) expect(parsed).toMatchObject({ status: 0, stderr: "" });
  });
});

it("names of peers come without errors, whatever happens", async () => {
  expect(await weave(["completion", "peers"])).toEqual({ stdout: "", stderr: "", code: 0 });
  await runDir.serve({ "/v1/status": [200, healthy] });
  expect(await weave(["completion", "peers"])).toEqual({ stdout: "bob\ncarol\n", stderr: "", code: 0 });
});

it("another shell is refused", async () => {
  expect(await weave(["completion", "tcsh"])).toEqual({
    stdout: "",
    stderr: 'weave: there is no completion for "tcsh"\n  there is one for: bash, zsh, fish\n',
    code: 2,
  });
});
