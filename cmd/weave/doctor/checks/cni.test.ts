import { describe, expect, it } from "vitest";
import type { CniReport } from "../../status/cni/report.ts";
import { judgeCni } from "./cni.ts";

const file = { name: "10-weave.conf", state: "used", network: "weave", versions: ["0.4.0"] } as const;
const ok = { state: "ok", versions: [] };
const report: CniReport = {
  ...{ ok: true, verdict: "kubelet will use weave", uses: true, problems: [], notes: [] },
  confDir: "/etc/cni/net.d",
  files: [{ ...file, versions: ["0.4.0"], plugins: ["weave-net"] }],
  binDirs: ["/opt/cni/bin"],
  plugins: [
    { type: "loopback", path: "/opt/cni/bin/loopback", ...ok },
    { type: "weave-net", path: "/opt/cni/bin/weave-net", ...ok },
  ],
};
const socket = "/run/weave/weave.sock";
const facts = { report, expected: true, silentSocket: undefined };
const problem = (code: "daemon" | "hidden" | "plugin-missing", object: string) => ({
  ...{ code, object, message: "", command: "" },
});
const bare: CniReport = {
  ...report,
  files: [],
  plugins: [{ type: "loopback", state: "missing", versions: [] }],
};

describe("runtimes", () => {
  it("use weave", () => {
    expect(judgeCni(facts)).toEqual({
      findings: [],
      notes: [],
      saw: "/etc/cni/net.d/10-weave.conf is used, its plugins are there",
    });
  });

  it("use another network", () => {
    const hidden = problem("hidden", "/etc/cni/net.d/05-other.conf");
    expect(judgeCni({ ...facts, report: { ...report, problems: [hidden] } }).findings).toEqual([hidden]);
  });

  it("reach no daemon, which is told once", () => {
    const silent = { ...facts, report: { ...report, problems: [problem("daemon", socket)] } };
    expect(judgeCni({ ...silent, silentSocket: socket }).findings).toEqual([]);
    expect(judgeCni(silent).findings).toHaveLength(1);
  });

  it("do not know weave: a note; that they lack loopback counts where there are runtimes", () => {
    const problems = [problem("plugin-missing", "loopback"), problem("plugin-missing", "weave-net")];
    const judged = judgeCni({ ...facts, report: { ...bare, problems } });
    expect(judged.findings).toMatchObject([{ code: "plugin-missing", object: "loopback" }]);
    expect(judged.notes).toMatchObject([{ code: "not-set-up" }]);
    expect(judgeCni({ ...facts, expected: false, report: { ...bare, problems } }).findings).toEqual([]);
  });
});
