import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sha256 } from "./setup/files.ts";
import { setup as install } from "./setup/install.ts";
import { type CniHost, cniHost, did as didOn } from "./testing/cni-host.ts";
import type { Outcome } from "./testing/harness.ts";

let host: CniHost;
let bin: string;
let conf: string;
let file: string;

beforeEach(() => {
  host = cniHost();
  ({ bin, conf } = host);
  file = join(conf, "10-weave.conf");
});

afterEach(() => host.remove());

function did(outcome: Outcome, action: string): string[] {
  return didOn(outcome, action, host);
}

/** What a plugin says it is, when it is called without a command. */
function whoIs(path: string): string {
  return spawnSync(path, { env: {} }).stderr.toString();
}

const ALL = [
  "bin/weave-plugin-0.1.0.socket",
  "bin/weave-plugin-0.1.0",
  "bin/weave-net -> weave-plugin-0.1.0",
  "bin/weave-ipam -> weave-plugin-0.1.0",
  "net.d/10-weave.conf",
];

describe("a first setup", () => {
  test("installs a plugin that runs under both names, its socket and the configuration", async () => {
    const outcome = await host.setup();
    expect(outcome.code).toBe(0);
    expect(did(outcome, "installed")).toEqual(ALL);
    for (const name of ["weave-net", "weave-ipam"]) {
      expect(readlinkSync(join(bin, name))).toBe("weave-plugin-0.1.0");
      expect(whoIs(join(bin, name))).toContain("first");
    }
    expect(statSync(join(bin, "weave-plugin-0.1.0")).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(bin, "weave-plugin-0.1.0.socket"), "utf8")).toBe(
      `${host.path}/run/weave.sock\n`,
    );
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
      cniVersion: "0.4.0",
      name: "weave",
      type: "weave-net",
      hairpinMode: true,
      capabilities: { portMappings: true, bandwidth: true, ips: true, mac: true, dns: true },
    });
  });

  test("leaves nothing else behind and remembers what it wrote", async () => {
    await host.setup();
    expect(readdirSync(conf)).toEqual(["10-weave.conf"]);
    expect(readdirSync(bin).sort()).toEqual([
      "loopback",
      "weave-ipam",
      "weave-net",
      "weave-plugin-0.1.0",
      "weave-plugin-0.1.0.socket",
    ]);
    const { files } = JSON.parse(readFileSync(join(host.path, "data/setup.json"), "utf8"));
    expect(files).toContainEqual({ path: file, sha256: sha256(readFileSync(file)) });
  });

  test("modes do not depend on the umask", async () => {
    const before = process.umask(0o077);
    try {
      await host.setup();
    } finally {
      process.umask(before);
    }
    expect(statSync(join(bin, "weave-net")).mode & 0o777).toBe(0o755);
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });
});

describe("again", () => {
  test("changes nothing and says so", async () => {
    await host.setup();
    const inodes = (): number[] => ALL.map((name) => lstatSync(join(host.path, name.replace(/ .*/, ""))).ino);
    const before = inodes();
    const outcome = await host.setup();
    expect(did(outcome, "unchanged")).toEqual(ALL);
    expect(inodes()).toEqual(before);
  });

  test("another program of the same version replaces the file; the one that runs keeps its own", async () => {
    await host.setup();
    const { ino } = statSync(join(bin, "weave-net"));
    host.build("second");
    const outcome = await host.setup();
    expect(did(outcome, "updated")).toEqual(["bin/weave-plugin-0.1.0"]);
    expect(whoIs(join(bin, "weave-net"))).toContain("second");
    expect(statSync(join(bin, "weave-net")).ino).not.toBe(ino);
  });

  test("another run directory moves the socket", async () => {
    await host.setup();
    const outcome = await host.setup("--run-dir", "/run/other");
    expect(did(outcome, "updated")).toEqual(["bin/weave-plugin-0.1.0.socket"]);
    expect(readFileSync(join(bin, "weave-plugin-0.1.0.socket"), "utf8")).toBe("/run/other/weave.sock\n");
  });

  test("what was removed comes back", async () => {
    await host.setup();
    for (const path of [file, join(bin, "weave-ipam")]) rmSync(path);
    expect(did(await host.setup(), "installed")).toEqual([
      "bin/weave-ipam -> weave-plugin-0.1.0",
      "net.d/10-weave.conf",
    ]);
  });

  test("older versions of ours go, those of Weave Net and changed ones stay", async () => {
    const remembered = ["weave-plugin-0.0.8", "weave-plugin-0.0.9", "weave-plugin-0.0.9.socket"];
    for (const name of [...remembered, "weave-plugin-2.8.1"]) writeFileSync(join(bin, name), "old");
    writeFileSync(join(bin, "weave-plugin-0.0.8"), "changed");
    const files = remembered.map((name) => ({ path: join(bin, name), sha256: sha256("old") }));
    mkdirSync(join(host.path, "data"));
    writeFileSync(join(host.path, "data/setup.json"), JSON.stringify({ files }));
    expect(did(await host.setup(), "removed")).toEqual([
      "bin/weave-plugin-0.0.9",
      "bin/weave-plugin-0.0.9.socket",
    ]);
    expect(readdirSync(bin)).toEqual(expect.arrayContaining(["weave-plugin-0.0.8", "weave-plugin-2.8.1"]));
  });

  test("links that lead elsewhere and files in their place are replaced", async () => {
    symlinkSync("weave-plugin-2.8.1", join(bin, "weave-net"));
    writeFileSync(join(bin, "weave-ipam"), "an old plugin");
    await host.setup();
    for (const name of ["weave-net", "weave-ipam"])
      expect(readlinkSync(join(bin, name))).toBe("weave-plugin-0.1.0");
  });

  test("temporary files of a killed setup go, those of one that runs stay", async () => {
    const dead = 2 ** 22 + 1;
    for (const [place, name] of [
      [conf, "10-weave.conf"],
      [bin, "weave-net"],
    ] as const) {
      for (const pid of [dead, process.ppid]) writeFileSync(join(place, `.${name}.${pid}.tmp`), "half");
    }
    await host.setup();
    expect(readdirSync(conf)).toEqual([`.10-weave.conf.${process.ppid}.tmp`, "10-weave.conf"]);
    expect(readdirSync(bin)).not.toContain(`.weave-net.${dead}.tmp`);
  });
});

describe("a configuration of the user is never overwritten", () => {
  const theirs = '{"cniVersion":"0.4.0","name":"weave","type":"weave-net","mtu":1400}';

  test("when it was changed after setup wrote it, as often as setup is run", async () => {
    await host.setup();
    writeFileSync(file, theirs);
    for (const _ of [1, 2]) {
      const outcome = await host.setup();
      expect(outcome.code).toBe(0);
      expect(did(outcome, "kept")).toEqual(["net.d/10-weave.conf"]);
      expect(outcome.stdout).toContain("it was changed since setup wrote it");
      expect(readFileSync(file, "utf8")).toBe(theirs);
    }
  });

  test("when it was there before the first setup", async () => {
    writeFileSync(file, theirs);
    const outcome = await host.setup();
    expect(outcome.stdout).toContain("it is not from this setup");
    expect(readFileSync(file, "utf8")).toBe(theirs);
  });

  test("when the memory is lost or broken", async () => {
    await host.setup();
    writeFileSync(file, theirs);
    writeFileSync(join(host.path, "data/setup.json"), "{");
    expect(did(await host.setup(), "kept")).toEqual(["net.d/10-weave.conf"]);
    expect(readFileSync(file, "utf8")).toBe(theirs);
  });

  test("when it is a link to a file elsewhere", async () => {
    const elsewhere = join(host.path, "managed.conf");
    writeFileSync(elsewhere, theirs);
    symlinkSync(elsewhere, file);
    expect(did(await host.setup(), "kept")).toEqual(["net.d/10-weave.conf"]);
    expect(readlinkSync(file)).toBe(elsewhere);
  });

  test("but one that an earlier setup wrote is brought up to date", async () => {
    const old = '{"name":"weave"}\n';
    writeFileSync(file, old);
    mkdirSync(join(host.path, "data"));
    const files = [{ path: file, sha256: sha256(old) }];
    writeFileSync(join(host.path, "data/setup.json"), JSON.stringify({ files }));
    expect(did(await host.setup(), "updated")).toEqual(["net.d/10-weave.conf"]);
    expect(did(await host.setup(), "unchanged")).toContain("net.d/10-weave.conf");
  });

  test("and one that a killed setup left without its last byte is finished", async () => {
    await host.setup();
    const whole = readFileSync(file, "utf8");
    writeFileSync(file, whole.slice(0, -1));
    rmSync(join(host.path, "data/setup.json"));
    expect(did(await host.setup(), "updated")).toEqual(["net.d/10-weave.conf"]);
    expect(readFileSync(file, "utf8")).toBe(whole);
  });
});

test("watchers see a rename and then a write, and valid JSON at each of them", async () => {
  const seen: string[] = [];
  const watcher = watch(conf, (event, name) => {
    if (name === "10-weave.conf") seen.push(event);
  });
  const changed = new Promise<void>((resolve) =>
    watcher.on("change", () => seen.includes("change") && resolve()),
  );
  await host.setup();
  await changed;
  watcher.close();
  expect(seen[0]).toBe("rename");
  expect(seen).toContain("change");
});

describe("missing directories", () => {
  test("one that is named: an error that says mkdir -p, and nothing is installed anywhere", async () => {
    rmSync(conf, { recursive: true });
    const { stdout, stderr, code } = await host.setup();
    expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
    expect(stderr).toBe(`weave: --cni-conf-dir ${conf} does not exist\n  create it with: mkdir -p ${conf}\n`);
    expect(readdirSync(bin)).toEqual(["loopback"]);
  });

  test("a file in its place", async () => {
    rmSync(conf, { recursive: true });
    writeFileSync(conf, "");
    expect((await host.setup()).stderr).toContain(`--cni-conf-dir ${conf} is not a directory`);
  });

  test("defaults: what is missing and how to create it; nothing is made, not even a memory", () => {
    const { path } = host;
    const request = { programs: `${path}/programs`, version: "0.1.0", socket: "/s", dataDir: `${path}/data` };
    const missing = (place: string) => ({ path: `${path}/no/${place}`, exists: false });
    const nowhere = install({ ...request, bin: missing("bin"), conf: missing("net.d") });
    expect(nowhere.done).toBe(false);
    expect(nowhere.steps).toEqual([
      {
        action: "missing",
        what: `${path}/no/bin`,
        detail: `no plugin was installed; to create it: mkdir -p ${path}/no/bin`,
      },
      {
        action: "missing",
        what: `${path}/no/net.d`,
        detail: `no 10-weave.conf was installed; to create it: mkdir -p ${path}/no/net.d`,
      },
    ]);
    expect(existsSync(`${path}/data`)).toBe(false);
    const half = install({ ...request, bin: { path: bin, exists: true }, conf: missing("net.d") });
    expect(half.done).toBe(true);
    expect(half.steps.map(({ action }) => action)).toEqual([
      "installed",
      "installed",
      "installed",
      "installed",
      "missing",
    ]);
  });

  test("a build without the plugin", async () => {
    rmSync(join(host.path, "programs/weave-net"));
    const { stderr, code } = await host.setup();
    expect(code).toBe(1);
    expect(stderr).toContain("programs/weave-net does not exist");
    expect(stderr).toContain("npm run build");
    expect(existsSync(join(bin, "weave-net"))).toBe(false);
  });
});

describe("notes", () => {
  test("a missing loopback plugin, and how to get it", async () => {
    rmSync(join(bin, "loopback"));
    const outcome = await host.setup();
    expect(outcome.code).toBe(0);
    expect(did(outcome, "note")).toEqual(["plugin loopback is not in bin"]);
    expect(outcome.stdout).toContain("/usr/lib/cni/loopback");
  });

  test("a configuration that comes before ours, and one that is broken", async () => {
    host.configure("05-a.conflist", "{");
    host.configure("10-calico.conf", { name: "calico", type: "calico" });
    for (const name of ["00-readme.txt", "99-b.conf"]) host.configure(name, "{}");
    const { stdout } = await host.setup();
    expect(stdout).toContain("weave is hidden by 10-calico.conf (network calico)");
    expect(stdout).toContain("05-a.conflist cannot be parsed");
    expect(stdout).not.toContain("99-b.conf");
    expect(stdout).toContain(`\n           run: mv ${conf}/05-a.conflist ${conf}/05-a.conflist.off\n`);
  });

  test("it ends with what to run next", async () => {
    const { stdout } = await host.setup();
    expect(stdout).toMatch(
      /\nnext {7}weave status cni --data-dir \S+\n {11}shows whether kubelet will use weave\n$/,
    );
  });
});
