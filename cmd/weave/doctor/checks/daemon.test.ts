import { describe, expect, it } from "vitest";
import { problem as schema } from "../../../../src/api/status.ts";
import { WeaveError } from "../../../../src/core/errors.ts";
import { healthy, problem } from "../../testing/statuses.ts";
import { judgeDaemon } from "./daemon.ts";

const facts = { status: healthy, launched: true, runDir: "/run/weave", version: "0.1.0" };
const repair = {
  object: "route 10.9.0.0/16",
  time: "2026-01-31T12:00:00.000Z",
  first: "2026-01-31T11:00:00.000Z",
  count: 40,
  message: "route add 10.9.0.0/16",
};

describe("the daemon", () => {
  it("runs, and all is well", () => {
    const { findings, notes, saw } = judgeDaemon(facts);
    expect({ findings, notes }).toEqual({ findings: [], notes: [] });
    expect(saw).toBe("weaver 0.1.0, process 4711; 0 problems in weave status");
  });

  it("says what concerns this host as findings, what concerns others as notes", () => {
    const problems = [
      problem("datapath", "bridge weave", "weave status"),
      problem("peer-unreachable", "bob", "weave status peers"),
    ].map((each) => schema.parse(each));
    const { findings, notes } = judgeDaemon({ ...facts, status: { ...healthy, problems } });
    expect(findings).toMatchObject([{ code: "kernel-fault", object: "bridge weave" }]);
    expect(notes).toMatchObject([{ code: "network-problem", object: "bob", command: "weave status peers" }]);
  });

  it("is fought over only while repairs are held back", () => {
    const repairs = [repair, { ...repair, notBefore: "2026-01-31T12:01:00.000Z" }];
    const { findings } = judgeDaemon({ ...facts, status: { ...healthy, repairs } });
    expect(findings).toMatchObject([{ code: "fought-over", object: "route 10.9.0.0/16" }]);
  });

  it("that does not run is a finding where it ran before, a note where it never did", () => {
    const status = new WeaveError("not-running", "weaver is not answering on /run/weave/weave.sock (ENOENT)");
    expect(judgeDaemon({ ...facts, status }).findings).toMatchObject([
      { code: "not-running", command: "weave launch --run-dir /run/weave" },
    ]);
    const never = judgeDaemon({ ...facts, status, launched: false });
    expect(never.findings).toEqual([]);
    expect(never.notes).toMatchObject([{ code: "not-launched" }]);
  });

  it.each([
    ["timeout", "kill -9 $(cat /run/weave/weaver.pid) && weave launch --run-dir /run/weave"],
    ["internal", "weave stop --run-dir /run/weave && weave launch --run-dir /run/weave"],
  ] as const)("that answers with %s is ended and launched again", (code, command) => {
    const { findings } = judgeDaemon({ ...facts, status: new WeaveError(code, "no") });
    expect(findings).toMatchObject([{ code: "no-answer", command }]);
  });

  it("that this user may not ask is no verdict", () => {
    const cause = Object.assign(new Error("connect EACCES"), { code: "EACCES" });
    const status = new WeaveError("not-running", "no permission", { cause });
    expect(() => judgeDaemon({ ...facts, status })).toThrow("no permission");
  });
});
