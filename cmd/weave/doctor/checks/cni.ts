// Whether container runtimes of this host would use weave: what `weave status cni` finds, as far as anybody wants that.
import { statSync } from "node:fs";
import { join } from "node:path";
import { SOCKET_FILE } from "../../../../src/daemon/options.ts";
import { DEFAULT_BIN_DIR } from "../../setup/places.ts";
import { gather } from "../../status/cni/gather.ts";
import type { CniReport } from "../../status/cni/report.ts";
import { defineCheck, statusOf, type Verdict } from "../check.ts";
import type { Finding } from "../finding.ts";

export interface CniFacts {
  readonly report: CniReport;
  /** One of the directories exists: a runtime is here, or is expected. */
  readonly expected: boolean;
  /** Its silence has been told already. */
  readonly silentSocket: string | undefined;
}

export const cni = defineCheck<CniFacts>(
  "cni",
  async (around) => {
    const { runDir, dataDir, version, cniConfDir: confDir, cniBinDirs: binDirs } = around;
    const report = await gather({ confDir, binDirs, runDir, dataDir, version });
    const places = [report.confDir, ...report.binDirs, DEFAULT_BIN_DIR];
    return {
      report,
      expected: places.some((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false),
      silentSocket: (await statusOf(around)) === undefined ? join(runDir, SOCKET_FILE) : undefined,
    };
  },
  judgeCni,
);

export function judgeCni({ report, expected, silentSocket }: CniFacts): Verdict {
  const { problems, notes, files, plugins, verdict, confDir } = report;
  const has = (type: string): boolean =>
    plugins.some((each) => each.type === type && each.path !== undefined);
  const isSetUp = has("weave-net") || files.some((file) => file.plugins.includes("weave-net"));
  if (isSetUp) {
    const findings = problems.filter(({ code, object }) => code !== "daemon" || object !== silentSocket);
    return { findings, notes, saw: findings.length === 0 ? winner(report) : verdict };
  }
  const used = files.find(({ state }) => state === "used");
  const note: Finding = {
    code: "not-set-up",
    object: confDir,
    message: `runtimes of this host do not know weave; ${used === undefined ? `no file in ${confDir} names a network` : `they use ${used.name}`}`,
    command: "mkdir -p /opt/cni/bin /etc/cni/net.d && weave setup",
  };
  const findings = expected
    ? problems.filter(({ object, code }) => isAboutLoopback(object) && code !== "version")
    : [];
  return { findings, notes: [note], saw: "weave setup did not run here" };
}

const isAboutLoopback = (object: string): boolean => object === "loopback" || object.endsWith("/loopback");

function winner({ files, confDir }: CniReport): string {
  const used = files.find(({ state }) => state === "used");
  return used === undefined
    ? `no network in ${confDir}`
    : `${join(confDir, used.name)} is used, its plugins are there`;
}
