// What Mesos and DC/OS get from setup.
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CniHost, cniHost, did as didOn } from "../testing/cni-host.ts";
import type { Outcome } from "../testing/harness.ts";
import { setup } from "./install.ts";
import { uninstall } from "./uninstall.ts";

let host: CniHost;
let bin: string;
let conf: string;

beforeEach(() => {
  host = cniHost();
  [bin, conf] = [join(host.path, "mesos/active/cni"), join(host.path, "mesos/etc/cni")];
  for (const path of [bin, conf]) mkdirSync(path, { recursive: true });
});
afterEach(() => host.remove());

function did(outcome: Outcome, action: string): string[] {
  return didOn(outcome, action, host);
}

describe("--mesos BIN_DIR CONF_DIR", () => {
  test("installs the plugins and a weave.conf that Mesos loads, and serves the kubelet as well", async () => {
    const outcome = await host.setup("--mesos", bin, conf);
    expect(outcome.code).toBe(0);
    expect(readdirSync(conf)).toEqual(["weave.conf"]);
    expect(JSON.parse(readFileSync(join(conf, "weave.conf"), "utf8"))).toEqual({
      cniVersion: "0.2.0",
      name: "weave",
      type: "weave-net",
      ipam: { type: "weave-ipam" },
      hairpinMode: true,
    });
    for (const type of ["weave-net", "weave-ipam"]) {
      expect(readlinkSync(join(bin, type))).toBe("weave-plugin-0.1.0");
    }
    expect(readFileSync(join(bin, "weave-plugin-0.1.0.socket"), "utf8")).toBe(
      `${host.path}/run/weave.sock\n`,
    );
    expect(readdirSync(host.conf)).toEqual(["10-weave.conf"]);
    expect(readdirSync(join(host.path, "mesos/etc"))).toEqual(["cni"]);
  });

  test("again: unchanged; changed by the user: kept; what a killed setup left goes", async () => {
    await host.setup("--mesos", bin, conf);
    const left = [join(conf, "../.weave.conf.999999999.tmp"), join(conf, ".weave.conf.999999999.tmp")];
    for (const path of left) writeFileSync(path, "{");
    const again = await host.setup("--mesos", bin, conf);
    expect(did(again, "unchanged")).toContain("mesos/etc/cni/weave.conf");
    expect(left.filter(existsSync)).toEqual([]);
    writeFileSync(join(conf, "weave.conf"), '{"name":"weave","type":"weave-net","mtu":1420}');
    expect(did(await host.setup("--mesos", bin, conf), "kept")).toEqual(["mesos/etc/cni/weave.conf"]);
    expect(readFileSync(join(conf, "weave.conf"), "utf8")).toContain("1420");
  });

  test("without the kubelet's directories nothing of them is said", () => {
    const absent = (name: string) => ({ path: join(host.path, "no", name), exists: false });
    const { steps, done } = setup({
      programs: join(host.path, "programs"),
      version: "0.1.0",
      socket: "/s",
      dataDir: host.data,
      bin: absent("bin"),
      conf: absent("conf"),
      mesos: { bin: { path: bin, exists: true }, conf: { path: conf, exists: true } },
    });
    expect(done).toBe(true);
    expect(steps.map(({ action }) => action)).toEqual(Array(5).fill("installed"));
  });

  test("another network of that name is told: Mesos uses only one", async () => {
    writeFileSync(join(conf, "dcos.conf"), '{"name":"weave","type":"bridge"}');
    writeFileSync(join(conf, "broken"), "{");
    writeFileSync(join(conf, "other.conf"), '{"name":"other","type":"bridge"}');
    const outcome = await host.setup("--mesos", bin, conf);
    expect(did(outcome, "note").join()).toMatch(/^dcos\.conf in /);
  });

  test.each([
    [["one"], "--mesos takes two directories, not 1"],
    [["one", "two", "three"], "--mesos takes two directories, not 3"],
    [["/nonexistent/bin", "/nonexistent/conf"], "--mesos /nonexistent/bin does not exist"],
  ])("%j is refused", async (words, message) => {
    const { code, stderr } = await host.setup("--mesos", ...words);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(readdirSync(host.conf)).toEqual([]);
  });

  test("one directory for both configurations is refused: Mesos would read 10-weave.conf, too", async () => {
    const { code, stderr } = await host.setup("--mesos", bin, host.conf);
    expect(code).toBe(2);
    expect(stderr).toContain("is the directory of Mesos");
  });
});

describe("directories of DC/OS that are missing", () => {
  test("are made, and removed with what is in them", () => {
    const place = (name: string) => ({ path: join(host.path, "opt/mesosphere", name), exists: false });
    const [active, networks] = [place("active/cni"), place("etc/dcos/network/cni")];
    const absent = { path: join(host.path, "no"), exists: false };
    mkdirSync(join(host.path, "opt/mesosphere"), { recursive: true });
    setup({
      programs: join(host.path, "programs"),
      version: "0.1.0",
      socket: "/s",
      dataDir: host.data,
      bin: absent,
      conf: absent,
      mesos: { bin: active, conf: networks },
    });
    expect(existsSync(join(networks.path, "weave.conf"))).toBe(true);
    writeFileSync(join(host.path, "opt/mesosphere/etc/dcos/theirs"), "");
    uninstall(host.data);
    expect(readdirSync(join(host.path, "opt/mesosphere"))).toEqual(["etc"]);
    expect(readdirSync(join(host.path, "opt/mesosphere/etc/dcos"))).toEqual(["theirs"]);
  });
});
