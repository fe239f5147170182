// `weave status cni`: verdict, problems with their commands, exit code, and the form of text and JSON.
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FINDING_CODES } from "../cni/finding.ts";
import { ALL_VERSIONS, type CniHost, cniHost, installPlugin, OLDER_VERSIONS } from "../testing/cni-host.ts";
import { type Outcome, type StandIn, standInDaemon, weave } from "../testing/harness.ts";
import { healthy } from "../testing/statuses.ts";
import { width } from "../text.ts";
import { type CniReport, cniReport } from "./cni/report.ts";

let host: CniHost;
let daemon: StandIn;

beforeEach(async () => {
  host = cniHost();
  mkdirSync(join(host.path, "run"));
  daemon = await standInDaemon(join(host.path, "run"), { "/v1/status": [200, healthy] });
});

afterEach(async () => {
  await daemon.close();
  host.remove();
});

/** Both forms; they must agree. */
async function look(...words: string[]): Promise<{ report: CniReport; text: string }> {
  const [text, asJson] = [await host.status(...words), await host.status("--json", ...words)];
  const report = cniReport.strict().parse(JSON.parse(asJson.stdout));
  expect({ ok: report.ok, text: text.code, json: asJson.code }).toEqual(
    report.problems.length === 0 ? { ok: true, text: 0, json: 0 } : { ok: false, text: 1, json: 1 },
  );
  expect(text.stderr + asJson.stderr).toBe("");
  expect(text.stdout.split("\n")[0]).toBe(`${report.ok ? "OK" : "PROBLEM"}: ${report.verdict}`);
  for (const { command, code } of [...report.problems, ...report.notes]) {
    expect(text.stdout).toContain(`\n    run: ${command}\n`);
    expect(FINDING_CODES).toContain(code);
  }
  return { report, text: text.stdout };
}

function codes({ problems }: CniReport): string[] {
  return problems.map(({ code }) => code);
}

const other = { cniVersion: "0.4.0", name: "other", type: "loopback" };

describe("in good order", () => {
  test("the text", async () => {
    await host.setup("--format", "conflist");
    host.configure("87-podman.conflist", { name: "podman", plugins: [{ type: "bridge" }] });
    const { text, report } = await look();
    expect(report.uses).toBe(true);
    expect(text.replaceAll(host.path, "")).toBe(`OK: kubelet will use weave

configurations in /net.d, in the order of kubelet, containerd and CRI-O
    FILE                STATE     NETWORK  CNI                PLUGINS
->  10-weave.conflist   used      weave    0.4.0 1.0.0 1.1.0  weave-net
    87-podman.conflist  not used  podman   0.1.0              bridge

plugins, looked for in /bin
PLUGIN     STATE  CNI             PATH
loopback   ok     0.1.0 to 1.0.0  /bin/loopback
weave-net  ok     0.1.0 to 1.1.0  /bin/weave-net

weave-net: weave 0.1.0, /bin/weave-net
its daemon: weaver 0.1.0, process 4711, /run/weave.sock
`);
  });

  test("a chain of the user's under a name of the user's", async () => {
    await host.setup();
    host.configure("05-mine.conflist", {
      name: "n",
      cniVersion: "1.0.0",
      plugins: [{ type: "weave-net" }, { type: "portmap" }],
    });
    installPlugin(join(host.bin, "portmap"), OLDER_VERSIONS);
    const { report } = await look();
    expect(report).toMatchObject({ ok: true, uses: true });
    expect(report.plugins.map(({ type }) => type)).toEqual(["loopback", "weave-net", "portmap"]);
    expect(report.files.map(({ name, state }) => [name, state])).toEqual([
      ["05-mine.conflist", "used"],
      ["10-weave.conf", "not used"],
    ]);
  });

  test("broken files after ours harm no kubelet", async () => {
    await host.setup();
    host.configure("99-broken.conf", "{");
    const { report } = await look();
    expect(report.ok).toBe(true);
    expect(report.files[1]).toMatchObject({
      state: "unparsable",
      reason: expect.stringContaining("not JSON"),
    });
  });

  test("without options: where setup wrote last", async () => {
    await host.setup();
    const words = ["status", "cni", "--json", "--data-dir", host.data, "--run-dir", join(host.path, "run")];
    const { stdout } = await weave(words);
    const report = cniReport.parse(JSON.parse(stdout));
    expect(report).toMatchObject({ ok: true, confDir: host.conf });
    expect(report.binDirs[0]).toBe(host.bin);
    expect(report.plugins.map(({ path }) => path)).toEqual([
      join(host.bin, "loopback"),
      join(host.bin, "weave-net"),
    ]);
  });
});

describe("which configuration wins", () => {
  test("an earlier one hides ours", async () => {
    await host.setup();
    host.configure("05-other.conf", other);
    const { report } = await look();
    expect(report.verdict).toBe("weave is hidden by 05-other.conf");
    expect(report.uses).toBe(false);
    expect(report.problems[0]).toMatchObject({
      code: "hidden",
      command: `mv ${host.conf}/05-other.conf ${host.conf}/05-other.conf.off`,
    });
  });

  test("an earlier one that cannot be parsed: containerd stops there, kubelet does not", async () => {
    await host.setup();
    host.configure("05-broken.conf", '{"name":"x","plugins":[]}');
    const { report, text } = await look();
    expect(report.uses).toBe(true);
    expect(report.verdict).toBe(
      "containerd will load no network because of 05-broken.conf; kubelet will use weave (10-weave.conf)",
    );
    expect(text.replaceAll(/\s+/g, " ")).toContain(
      "containerd then loads no network at all; kubelet, CRI-O and podman pass over it",
    );
  });

  test("hidden and broken: both are told", async () => {
    await host.setup();
    host.configure("03-broken.conf", "{");
    host.configure("05-other.conf", other);
    expect(codes((await look()).report)).toEqual(["hidden", "unparsable"]);
  });

  test("ours is broken", async () => {
    await host.setup();
    host.configure("10-weave.conf", "{");
    host.configure("99-other.conf", other);
    const { report } = await look();
    expect(codes(report)).toEqual(["no-configuration", "unparsable"]);
    expect(report.verdict).toMatch(/^kubelet will not use weave: no file in .* kubelet uses 99-other\.conf$/);
  });

  test("none is there, or not even the directory", async () => {
    await host.setup();
    rmSync(join(host.conf, "10-weave.conf"));
    const { report } = await look();
    expect(report.problems[0]).toMatchObject({
      code: "no-configuration",
      command: `weave setup --cni-conf-dir ${host.conf}`,
    });
    rmSync(host.conf, { recursive: true });
    expect(codes((await look()).report)).toEqual(["no-directory"]);
    mkdirSync(host.conf);
  });

  test("one network in two files is odd, not a problem", async () => {
    await host.setup();
    host.configure("10-weave.conflist", { name: "weave", plugins: [{ type: "weave-net" }] });
    const { report } = await look();
    expect(report.ok).toBe(true);
    expect(report.notes).toMatchObject([{ code: "side-by-side" }]);
  });
});

describe("plugins", () => {
  const chain = {
    name: "n",
    cniVersion: "1.0.0",
    cniVersions: ["1.1.0"],
    plugins: [{ type: "weave-net" }, { type: "mine", ipam: { type: "its-ipam" } }],
  };

  test("every one that is missing is told with what to run", async () => {
    await host.setup();
    host.configure("10-weave.conf", { ...other, type: "weave-net", ipam: { type: "host-local" } });
    rmSync(join(host.bin, "loopback"));
    rmSync(join(host.bin, "weave-net"));
    const { report } = await look();
    expect(codes(report)).toEqual(["plugin-missing", "plugin-missing", "plugin-missing"]);
    expect(report.problems.map(({ object }) => object)).toEqual(["loopback", "weave-net", "host-local"]);
    expect(report.problems[0]?.command).toContain(`ln -sf /usr/lib/cni/loopback ${host.bin}/`);
    expect(report.problems[1]?.command).toBe(`weave setup --cni-bin-dir ${host.bin}`);
    expect(report.forwarder).toBeUndefined();
    expect(report.verdict).toBe("kubelet will use weave (10-weave.conf), with 3 problems");
  });

  test("those of a chain, also below an IPAM, and one nobody knows", async () => {
    await host.setup();
    host.configure("10-weave.conf", "");
    host.configure("09-mine.conflist", chain);
    installPlugin(join(host.bin, "mine"), ALL_VERSIONS);
    const { report } = await look();
    expect(report.problems).toMatchObject([
      { code: "plugin-missing", object: "its-ipam", command: `vi ${host.conf}/09-mine.conflist` },
    ]);
  });

  test("one that cannot be executed, one that is broken, one that is too old", async () => {
    await host.setup();
    host.configure("09-mine.conflist", chain);
    chmodSync(join(host.bin, "loopback"), 0o644);
    writeFileSync(join(host.bin, "mine"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    installPlugin(join(host.bin, "its-ipam"), OLDER_VERSIONS);
    const { report } = await look();
    expect(report.problems).toMatchObject([
      { code: "not-executable", command: `chmod +x ${host.bin}/loopback` },
      { code: "plugin-broken", object: join(host.bin, "mine") },
      { code: "version", object: join(host.bin, "its-ipam"), command: `vi ${host.conf}/09-mine.conflist` },
    ]);
    expect(report.plugins.map(({ state }) => state)).toEqual([
      "not executable",
      "ok",
      "broken",
      "lacks 1.1.0",
    ]);
  });

  test("a list that setup wrote is mended by setup", async () => {
    await host.setup("--format", "conflist");
    mkdirSync(join(host.conf, "weave"));
    writeFileSync(join(host.conf, "weave/20-tuning.conf"), '{"type":"tuning"}');
    installPlugin(join(host.bin, "tuning"), OLDER_VERSIONS);
    const { report } = await look();
    expect(report.problems).toMatchObject([
      { code: "version", command: `weave setup --cni-conf-dir ${host.conf}` },
    ]);
    await host.setup();
    expect((await look()).report.ok).toBe(true);
  });

  test("directories named together are searched together, the first one first", async () => {
    await host.setup();
    const second = join(host.path, "second");
    mkdirSync(second);
    for (const name of ["loopback", "weave-net"]) installPlugin(join(second, name), ALL_VERSIONS);
    rmSync(join(host.bin, "loopback"));
    const { report } = await look("--cni-bin-dir", second);
    expect(report.ok).toBe(true);
    expect(report.plugins.map(({ path }) => path)).toEqual([
      join(second, "loopback"),
      join(host.bin, "weave-net"),
    ]);
  });

  test("but none that is only usual may be needed beside another", async () => {
    await host.setup();
    const second = join(host.path, "second");
    mkdirSync(second);
    await host.bareSetup("--cni-bin-dir", second, "--cni-conf-dir", host.conf);
    rmSync(join(host.bin, "weave-net"));
    const state = ["--data-dir", host.data, "--run-dir", join(host.path, "run")];
    const { stdout, code } = await weave(["status", "cni", "--json", ...state]);
    expect(code).toBe(1);
    expect(cniReport.parse(JSON.parse(stdout)).problems[0]).toMatchObject({
      code: "plugin-apart",
      command: `ln -s ${second}/weave-net ${host.bin}/`,
    });
  });
});

describe("the forwarder", () => {
  test("of another weave, or of Weave Net", async () => {
    await host.setup();
    installPlugin(join(host.bin, "weave-plugin-0.1.0"), ALL_VERSIONS, "", "0.0.9");
    const { report } = await look();
    expect(report.problems).toMatchObject([
      {
        code: "forwarder",
        message: expect.stringContaining("of weave 0.0.9, this is 0.1.0"),
        command: `weave setup --cni-bin-dir ${host.bin}`,
      },
    ]);
    rmSync(join(host.bin, "weave-net"));
    installPlugin(join(host.path, "net"), OLDER_VERSIONS, "", "0.1.0 ");
    symlinkSync("../net", join(host.bin, "weave-net"));
    expect((await look()).report.problems).toMatchObject([
      { code: "forwarder", message: expect.stringContaining("is not from this weave") },
      { code: "daemon" },
    ]);
  });

  test("no daemon on its socket", async () => {
    await host.setup();
    await daemon.close();
    const { report } = await look();
    expect(report.uses).toBe(true);
    expect(report.problems).toMatchObject([
      {
        code: "daemon",
        object: `${host.path}/run/weave.sock`,
        command: `weave launch --run-dir ${host.path}/run`,
      },
    ]);
    expect(report.forwarder).not.toHaveProperty("daemon");
  });

  test("its socket is not that of the daemon", async () => {
    await host.setup("--run-dir", join(host.path, "elsewhere"));
    const { report } = await look();
    expect(report.problems).toMatchObject([
      { code: "daemon", command: `weave setup --cni-bin-dir ${host.bin} --run-dir ${host.path}/run` },
    ]);
  });
});

test("whatever is in the directories: tables of 100 columns, no control characters", async () => {
  await host.setup();
  const long = "x".repeat(120);
  const plugins = Array.from({ length: 20 }, (_, at) => ({ type: `plugin-with-a-long-name-${at}` }));
  host.configure(`01-${long}.conflist`, {
    name: long,
    cniVersions: ALL_VERSIONS,
    plugins: [{ type: "weave-net" }, ...plugins],
  });
  host.configure("02-\u001b]0;owned\u0007.conf", { name: "\u001b]0;owned\u0007", type: "t" });
  const { text } = await look();
  const tables = text.slice(text.indexOf("\n\nconfigurations")).split("\n");
  const broken = tables.filter((line) => width(line) > 100 && !line.includes(host.path));
  expect(broken).toEqual([]);
  expect(text).not.toMatch(/[^\P{Cc}\n]/u);
});

test("docs/status.md lists every code", () => {
  const page = readFileSync(new URL("../../../docs/status.md", import.meta.url), "utf8");
  const [, part = ""] = page.split("## What kubelet sees\n");
  expect([...part.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, code]) => code)).toEqual([...FINDING_CODES]);
});

describe("its help and command line", () => {
  test("says what it is, with examples, in 100 columns", async () => {
    const { stdout, code } = await weave(["status", "cni", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: weave status cni \[options\]/);
    expect(stdout).toMatch(/\nExamples?:\n {2}\S/);
    for (const option of ["--cni-conf-dir", "--cni-bin-dir", "--json", "--run-dir"])
      expect(stdout).toContain(option);
    expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([]);
    expect((await weave(["status", "--help"])).stdout).toContain("\n  cni [options] ");
  });

  test("errors end with 2 and a hint", async () => {
    const wrong = (...words: string[]): Promise<Outcome> => weave(["status", "cni", ...words]);
    expect(await wrong("--jsn")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("see: weave status cni --help"),
    });
    expect(await wrong("more")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("too many arguments"),
    });
  });
});
