import { describe, expect, it } from "vitest";
import { type Check, defineCheck, type Surroundings } from "./check.ts";
import { examine } from "./examine.ts";
import type { Finding } from "./finding.ts";
import { renderDoctor, wrapCommand } from "./render.ts";
import { doctorReport } from "./report.ts";

const around: Surroundings = {
  ...{ version: "0.1.0", root: "/nonexistent", runDir: "/r", dataDir: "/d", port: 6783 },
  ...{ range: undefined, cniConfDir: undefined, cniBinDirs: undefined },
  status: () => Promise.reject(new Error("not asked")),
  kernel: () => Promise.reject(new Error("not asked")),
};
const finding: Finding = {
  code: "sysctl",
  object: "net.x",
  message: "is wrong",
  command: "sysctl -w net.x=1",
};
const fine = defineCheck(
  "fine",
  async () => 1,
  (facts) => ({ findings: [], saw: `${facts} thing` }),
);
const wrong = defineCheck(
  "wrong",
  async () => 1,
  () => ({ findings: [finding], notes: [finding], saw: "it" }),
);
const broken = defineCheck(
  "broken",
  () => Promise.reject(new Error("no file")),
  () => ({ findings: [], saw: "" }),
);
const endless: Check = { name: "endless", run: () => new Promise(() => undefined) };

describe("an examination", () => {
  it("goes through all checks, whatever becomes of one", async () => {
    const report = await examine([broken, endless, wrong, fine], around, 50);
    expect(doctorReport.parse(report)).toEqual(report);
    expect(report.ok).toBe(false);
    expect(report.checks).toEqual([
      { name: "broken", state: "unknown", saw: "no file" },
      { name: "endless", state: "unknown", saw: "not done within 0.05 s" },
      { name: "wrong", state: "wrong", saw: "it" },
      { name: "fine", state: "ok", saw: "1 thing" },
    ]);
    expect(report.findings.map(({ check, code }) => `${check} ${code}`)).toEqual([
      "broken check-failed",
      "endless check-failed",
      "wrong sysctl",
    ]);
    expect(report.notes).toHaveLength(1);
  });

  it("with nothing wrong is OK", async () => {
    const report = await examine([fine], around);
    expect(report.ok).toBe(true);
    expect(renderDoctor(report)).toBe(
      "OK: nothing is wrong on this host\n\nCHECK  STATE  SAW\nfine   ok     1 thing",
    );
  });

  it("is shown in 100 columns, however long the words", async () => {
    const long = { ...finding, message: "word ".repeat(60), command: "command with words && ".repeat(20) };
    const check = defineCheck(
      "long",
      async () => 1,
      () => ({ findings: [long], notes: [long], saw: "x".repeat(300) }),
    );
    const text = renderDoctor(await examine([check], around));
    expect(text).toMatch(/^PROBLEM: 1 thing to mend on this host\n {2}sysctl: word/);
    expect(text.split("\n").filter((line) => line.length > 100)).toEqual([]);
  });
});

describe("a command over several lines", () => {
  it("is the same command to a shell", () => {
    const command = `    run: printf '%s\\n' 'a  b c' && ${"echo word ".repeat(12)}> file`;
    const lines = wrapCommand(command, 60, "         ");
    expect(lines.split("\n").every((line) => line.length <= 60)).toBe(true);
    expect(lines.replaceAll(/ \\\n +/g, " ")).toBe(command);
  });

  it("breaks no quoted text", () => {
    const quoted = `'${"long words ".repeat(10)}'`;
    expect(wrapCommand(`  run: echo ${quoted} end`, 40, "    ")).toContain(quoted);
  });
});
