// What `weave setup --uninstall` takes away and what it leaves.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CniHost, cniHost, did as didOn } from "../testing/cni-host.ts";
import { type Outcome, standInDaemon } from "../testing/harness.ts";
import { healthy } from "../testing/statuses.ts";

let host: CniHost;
beforeEach(() => {
  host = cniHost();
});
afterEach(() => host.remove());

function did(outcome: Outcome, action: string): string[] {
  return didOn(outcome, action, host);
}

function uninstall(): Promise<Outcome> {
  return host.bareSetup("--uninstall");
}

/** Every path under the host's directory that is no directory. */
function everything(): string[] {
  return readdirSync(host.path, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(host.path.length + 1))
    .sort();
}

test("a configuration that stood there before, to the byte, is not ours to take", async () => {
  await host.setup();
  const path = join(host.conf, "10-weave.conf");
  const text = readFileSync(path, "utf8");
  await uninstall();
  writeFileSync(path, text);
  expect(did(await host.setup(), "unchanged")).toContain("net.d/10-weave.conf");
  await uninstall();
  expect(readFileSync(path, "utf8")).toBe(text);
});

describe.each(["conf", "conflist"])("after a setup with %s", (format) => {
  test("all of it goes from every directory, the configuration first, and twice does no harm", async () => {
    const [bin, mesosBin, mesosConf] = ["bin2", "mesos-bin", "mesos-conf"].map((name) =>
      join(host.path, name),
    );
    for (const path of [bin, mesosBin, mesosConf]) mkdirSync(path ?? "");
    const before = everything();
    await host.setup("--format", format, "--mesos", mesosBin ?? "", mesosConf ?? "");
    await host.bareSetup("--cni-bin-dir", bin ?? "", "--cni-conf-dir", host.conf);
    expect(everything().length).toBe(before.length + 4 * 3 + 2 + 1);

    const outcome = await uninstall();
    expect(outcome.code).toBe(0);
    expect(everything()).toEqual(before);
    expect(existsSync(host.data)).toBe(false);
    const removed = did(outcome, "removed");
    expect(removed).toHaveLength(4 * 3 + 2);
    expect(removed.slice(0, 2).sort()).toEqual([`mesos-conf/weave.conf`, `net.d/10-weave.${format}`]);
    const links = removed.findLastIndex((path) => /weave-(net|ipam)$/.test(path));
    expect(removed.findIndex((path) => path.includes("weave-plugin-"))).toBeGreaterThan(links);

    const again = await uninstall();
    expect(again.code).toBe(0);
    expect(did(again, "note")[0]).toMatch(/^nothing that setup brought is left/);
    expect(everything()).toEqual(before);
    expect(existsSync(host.data)).toBe(false);
  });
});

describe("what is not setup's stays", () => {
  test("configurations and programs that were changed are kept and told", async () => {
    await host.setup();
    host.configure("10-weave.conf", '{"name":"weave","type":"weave-net","mtu":1400}');
    writeFileSync(join(host.bin, "weave-plugin-0.1.0"), "mine");
    const outcome = await uninstall();
    expect(did(outcome, "kept")).toEqual(["net.d/10-weave.conf", "bin/weave-plugin-0.1.0"]);
    expect(outcome.stdout).toContain(`run: rm ${host.conf}/10-weave.conf\n`);
    expect(readFileSync(join(host.conf, "10-weave.conf"), "utf8")).toContain("1400");
    expect(readdirSync(host.bin).sort()).toEqual(["loopback", "weave-plugin-0.1.0"]);
    expect(existsSync(join(host.data, "setup.json"))).toBe(false);
  });

  test("files of others, links that lead elsewhere, and the daemon's data", async () => {
    await host.setup();
    host.configure("05-other.conf", "{}");
    writeFileSync(join(host.bin, "weave-plugin-2.8.1"), "Weave Net");
    rmSync(join(host.bin, "weave-ipam"));
    symlinkSync("weave-plugin-2.8.1", join(host.bin, "weave-ipam"));
    mkdirSync(join(host.data, "db"));
    await uninstall();
    expect(readdirSync(host.conf)).toEqual(["05-other.conf"]);
    expect(readdirSync(host.bin).sort()).toEqual(["loopback", "weave-ipam", "weave-plugin-2.8.1"]);
    expect(readdirSync(host.data)).toEqual(["db"]);
  });

  test("without a memory nothing is ours", async () => {
    await host.setup();
    rmSync(join(host.data, "setup.json"));
    const before = everything();
    const outcome = await uninstall();
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toContain("another --data-dir");
    expect(everything()).toEqual(before);
  });
});

test("a directory that is gone is no obstacle, and another call ends what a killed one began", async () => {
  await host.setup();
  rmSync(host.conf, { recursive: true });
  for (const name of ["weave-net", "weave-ipam", "weave-plugin-0.1.0"]) rmSync(join(host.bin, name));
  const temporary = join(host.bin, ".weave-net.999999999.tmp");
  writeFileSync(temporary, "");
  const outcome = await uninstall();
  expect(outcome.code).toBe(0);
  expect(did(outcome, "removed")).toEqual(["bin/weave-plugin-0.1.0.socket"]);
  expect(readdirSync(host.bin)).toEqual(["loopback"]);
  mkdirSync(host.conf); // for remove()
});

test("a running daemon and attached containers are told; the daemon is not stopped", async () => {
  await host.setup();
  mkdirSync(join(host.path, "run"));
  const daemon = await standInDaemon(join(host.path, "run"), { "/v1/status": [200, healthy] });
  try {
    const outcome = await uninstall();
    expect(outcome.code).toBe(0);
    expect(did(outcome, "note")).toEqual([
      "1 container of this host still attached",
      "weaver runs on as process 4711",
    ]);
    expect(outcome.stdout).toContain("weave stop");
    expect(daemon.calls).toEqual(["GET /v1/status"]);
  } finally {
    await daemon.close();
  }
});

test("no other option of setup goes with it", async () => {
  for (const words of [
    ["--format", "conf"],
    ["--cni-conf-dir", host.conf],
    ["--mesos", host.bin, host.conf],
  ]) {
    const { code, stderr } = await host.bareSetup("--uninstall", ...words);
    expect(code).toBe(2);
    expect(stderr).toContain("cannot be used with option");
  }
});
