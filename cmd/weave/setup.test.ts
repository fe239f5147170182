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
import { setup as install } from "./setup.ts";
import { type Outcome, temporaryDirectory, weave } from "./testing/harness.ts";

let directory: ReturnType<typeof temporaryDirectory>;
let bin: string;
let conf: string;
let file: string;

beforeEach(() => {
  directory = temporaryDirectory();
  bin = join(directory.path, "bin");
  conf = join(directory.path, "net.d");
  file = join(conf, "10-weave.conf");
  for (const path of [bin, conf, join(directory.path, "programs")]) mkdirSync(path);
  writeFileSync(join(bin, "loopback"), "");
  build("#!/bin/sh\necho first\n");
});

afterEach(() => directory.remove());

/** What the build leaves for setup. */
function build(program: string): void {
  writeFileSync(join(directory.path, "programs/weave-net"), program);
}

function setup(...more: string[]): Promise<Outcome> {
  const { path } = directory;
  const places = ["--cni-bin-dir", bin, "--cni-conf-dir", conf];
  return weave(
    ["setup", ...places, "--run-dir", `${path}/run`, "--data-dir", `${path}/data`, ...more],
    `${path}/programs`,
  );
}

/** Lines of one action, without the directory. */
function did({ stdout }: Outcome, action: string): string[] {
  return stdout
    .split("\n")
    .filter((line) => line.startsWith(`${action} `))
    .map((line) => line.slice(11).replaceAll(`${directory.path}/`, ""));
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
    const outcome = await setup();
    expect(outcome.code).toBe(0);
    expect(did(outcome, "installed")).toEqual(ALL);
    for (const name of ["weave-net", "weave-ipam"]) {
      expect(readlinkSync(join(bin, name))).toBe("weave-plugin-0.1.0");
      expect(spawnSync(join(bin, name)).stdout.toString()).toBe("first\n");
    }
    expect(statSync(join(bin, "weave-plugin-0.1.0")).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(bin, "weave-plugin-0.1.0.socket"), "utf8")).toBe(
      `${directory.path}/run/weave.sock\n`,
    );
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(readFileSync(file, "utf8")).toBe(
      '{\n  "cniVersion": "0.4.0",\n  "name": "weave",\n  "type": "weave-net",\n  "hairpinMode": true\n}\n',
    );
  });

  test("leaves nothing else behind and remembers what it wrote", async () => {
    await setup();
    expect(readdirSync(conf)).toEqual(["10-weave.conf"]);
    expect(readdirSync(bin).sort()).toEqual([
      "loopback",
      "weave-ipam",
      "weave-net",
      "weave-plugin-0.1.0",
      "weave-plugin-0.1.0.socket",
    ]);
    const { files } = JSON.parse(readFileSync(join(directory.path, "data/setup.json"), "utf8"));
    expect(files).toContainEqual({ path: file, sha256: sha256(readFileSync(file)) });
  });

  test("modes do not depend on the umask", async () => {
    const before = process.umask(0o077);
    try {
      await setup();
    } finally {
      process.umask(before);
    }
    expect(statSync(join(bin, "weave-net")).mode & 0o777).toBe(0o755);
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });
});

describe("again", () => {
  test("changes nothing and says so", async () => {
    await setup();
    const inodes = (): number[] =>
      ALL.map((name) => lstatSync(join(directory.path, name.replace(/ .*/, ""))).ino);
    const before = inodes();
    const outcome = await setup();
    expect(did(outcome, "unchanged")).toEqual(ALL);
    expect(inodes()).toEqual(before);
  });

  test("another program of the same version replaces the file; the one that runs keeps its own", async () => {
    await setup();
    const { ino } = statSync(join(bin, "weave-net"));
    build("#!/bin/sh\necho second\n");
    const outcome = await setup();
    expect(did(outcome, "updated")).toEqual(["bin/weave-plugin-0.1.0"]);
    expect(spawnSync(join(bin, "weave-net")).stdout.toString()).toBe("second\n");
    expect(statSync(join(bin, "weave-net")).ino).not.toBe(ino);
  });

  test("another run directory moves the socket", async () => {
    await setup();
    const outcome = await setup("--run-dir", "/run/other");
    expect(did(outcome, "updated")).toEqual(["bin/weave-plugin-0.1.0.socket"]);
    expect(readFileSync(join(bin, "weave-plugin-0.1.0.socket"), "utf8")).toBe("/run/other/weave.sock\n");
  });

  test("what was removed comes back", async () => {
    await setup();
    for (const path of [file, join(bin, "weave-ipam")]) rmSync(path);
    expect(did(await setup(), "installed")).toEqual([
      "bin/weave-ipam -> weave-plugin-0.1.0",
      "net.d/10-weave.conf",
    ]);
  });

  test("older versions of ours go, those of Weave Net and changed ones stay", async () => {
    const remembered = ["weave-plugin-0.0.8", "weave-plugin-0.0.9", "weave-plugin-0.0.9.socket"];
    for (const name of [...remembered, "weave-plugin-2.8.1"]) writeFileSync(join(bin, name), "old");
    writeFileSync(join(bin, "weave-plugin-0.0.8"), "changed");
    const files = remembered.map((name) => ({ path: join(bin, name), sha256: sha256("old") }));
    mkdirSync(join(directory.path, "data"));
    writeFileSync(join(directory.path, "data/setup.json"), JSON.stringify({ files }));
    expect(did(await setup(), "removed")).toEqual([
      "bin/weave-plugin-0.0.9",
      "bin/weave-plugin-0.0.9.socket",
    ]);
    expect(readdirSync(bin)).toEqual(expect.arrayContaining(["weave-plugin-0.0.8", "weave-plugin-2.8.1"]));
  });

  test("links that lead elsewhere and files in their place are replaced", async () => {
    symlinkSync("weave-plugin-2.8.1", join(bin, "weave-net"));
    writeFileSync(join(bin, "weave-ipam"), "an old plugin");
    await setup();
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
    await setup();
    expect(readdirSync(conf)).toEqual([`.10-weave.conf.${process.ppid}.tmp`, "10-weave.conf"]);
    expect(readdirSync(bin)).not.toContain(`.weave-net.${dead}.tmp`);
  });
});

describe("a configuration of the user is never overwritten", () => {
  const theirs = '{"cniVersion":"0.4.0","name":"weave","type":"weave-net","mtu":1400}';

  test("when it was changed after setup wrote it, as often as setup is run", async () => {
    await setup();
    writeFileSync(file, theirs);
    for (const _ of [1, 2]) {
      const outcome = await setup();
      expect(outcome.code).toBe(0);
      expect(did(outcome, "kept")).toEqual(["net.d/10-weave.conf"]);
      expect(outcome.stdout).toContain("it was changed since setup wrote it");
      expect(readFileSync(file, "utf8")).toBe(theirs);
    }
  });

  test("when it was there before the first setup", async () => {
    writeFileSync(file, theirs);
    const outcome = await setup();
    expect(outcome.stdout).toContain("it is not from this setup");
    expect(readFileSync(file, "utf8")).toBe(theirs);
  });

  test("when the memory is lost or broken", async () => {
    await setup();
    writeFileSync(file, theirs);
    writeFileSync(join(directory.path, "data/setup.json"), "{");
    expect(did(await setup(), "kept")).toEqual(["net.d/10-weave.conf"]);
    expect(readFileSync(file, "utf8")).toBe(theirs);
  });

  test("when it is a link to a file elsewhere", async () => {
    const elsewhere = join(directory.path, "managed.conf");
    writeFileSync(elsewhere, theirs);
    symlinkSync(elsewhere, file);
    expect(did(await setup(), "kept")).toEqual(["net.d/10-weave.conf"]);
    expect(readlinkSync(file)).toBe(elsewhere);
  });

  test("but one that an earlier setup wrote is brought up to date", async () => {
    const old = '{"name":"weave"}\n';
    writeFileSync(file, old);
    mkdirSync(join(directory.path, "data"));
    const files = [{ path: file, sha256: sha256(old) }];
    writeFileSync(join(directory.path, "data/setup.json"), JSON.stringify({ files }));
    expect(did(await setup(), "updated")).toEqual(["net.d/10-weave.conf"]);
    expect(did(await setup(), "unchanged")).toContain("net.d/10-weave.conf");
  });

  test("and one that a killed setup left without its last byte is finished", async () => {
    await setup();
    const whole = readFileSync(file, "utf8");
    writeFileSync(file, whole.slice(0, -1));
    rmSync(join(directory.path, "data/setup.json"));
    expect(did(await setup(), "updated")).toEqual(["net.d/10-weave.conf"]);
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
  await setup();
  await changed;
  watcher.close();
  expect(seen[0]).toBe("rename");
  expect(seen).toContain("change");
});

describe("missing directories", () => {
  test("one that is named: an error that says mkdir -p, and nothing is installed anywhere", async () => {
    rmSync(conf, { recursive: true });
    const { stdout, stderr, code } = await setup();
    expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
    expect(stderr).toBe(`weave: --cni-conf-dir ${conf} does not exist\n  create it with: mkdir -p ${conf}\n`);
    expect(readdirSync(bin)).toEqual(["loopback"]);
  });

  test("a file in its place", async () => {
    rmSync(conf, { recursive: true });
    writeFileSync(conf, "");
    expect((await setup()).stderr).toContain(`--cni-conf-dir ${conf} is not a directory`);
  });

  test("defaults: what is missing and how to create it; nothing is made, not even a memory", () => {
    const { path } = directory;
    const request = { programs: `${path}/programs`, version: "0.1.0", socket: "/s", dataDir: `${path}/data` };
    const missing = (place: string) => ({ path: `${path}/no/${place}`, exists: false });
    const steps = install({ ...request, bin: missing("bin"), conf: missing("net.d") });
    expect(steps).toEqual([
      {
        action: "missing",
        what: `${path}/no/bin`,
        detail: `no plugin was installed; to create it: mkdir -p ${path}/no/bin`,
      },
      {
        action: "missing",
        what: `${path}/no/net.d`,
        detail: `no configuration was installed; to create it: mkdir -p ${path}/no/net.d`,
      },
    ]);
    expect(existsSync(`${path}/data`)).toBe(false);
    const half = install({ ...request, bin: { path: bin, exists: true }, conf: missing("net.d") });
    expect(half.map(({ action }) => action)).toEqual([
      "installed",
      "installed",
      "installed",
      "installed",
      "missing",
    ]);
  });

  test("a build without the plugin", async () => {
    rmSync(join(directory.path, "programs/weave-net"));
    const { stderr, code } = await setup();
    expect(code).toBe(1);
    expect(stderr).toContain("programs/weave-net does not exist");
    expect(stderr).toContain("npm run build");
    expect(existsSync(join(bin, "weave-net"))).toBe(false);
  });
});

describe("notes", () => {
  test("a missing loopback plugin, with its package", async () => {
    rmSync(join(bin, "loopback"));
    const outcome = await setup();
    expect(outcome.code).toBe(0);
    expect(did(outcome, "note")).toEqual(['there is no plugin "loopback" in bin']);
    expect(outcome.stdout).toContain("containernetworking-plugins");
  });

  test("configurations that come before ours", async () => {
    for (const name of [
      "05-a.conflist",
      "10-calico.conf",
      "10-weave.conflist",
      "00-readme.txt",
      "99-b.conf",
    ]) {
      writeFileSync(join(conf, name), "{}");
    }
    expect(did(await setup(), "note")).toEqual([
      "05-a.conflist, 10-calico.conf in net.d sorts before 10-weave.conf",
    ]);
  });
});
