// 10-weave.conf and 10-weave.conflist: which one setup writes, and how one takes the place of the other.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ALL_VERSIONS,
  type CniHost,
  cniHost,
  did as didOn,
  installPlugin,
  OLDER_VERSIONS,
} from "../testing/cni-host.ts";
import type { Outcome } from "../testing/harness.ts";
import { isOurText, listConfiguration, mesosConfiguration, singleConfiguration } from "./contents.ts";
import { setup } from "./install.ts";
import { Remembered } from "./remembered.ts";

let host: CniHost;
beforeEach(() => {
  host = cniHost();
});
afterEach(() => host.remove());

function did(outcome: Outcome, action: string): string[] {
  return didOn(outcome, action, host);
}

function files(): string[] {
  return readdirSync(host.conf).sort();
}

const capabilities = { portMappings: true, bandwidth: true, ips: true, mac: true, dns: true };

describe("--format conflist", () => {
  test("writes a list of our plugin with the versions it answers, and not the other file", async () => {
    expect((await host.setup("--format", "conflist")).code).toBe(0);
    expect(files()).toEqual(["10-weave.conflist"]);
    expect(host.configured("10-weave.conflist")).toEqual({
      cniVersion: "1.0.0",
      cniVersions: ["0.4.0", "1.0.0", "1.1.0"],
      name: "weave",
      plugins: [{ type: "weave-net", hairpinMode: true, capabilities }],
    });
  });

  test("takes the place of our own .conf, and --format conf the other way", async () => {
    await host.setup();
    const there = await host.setup("--format", "conflist");
    expect(did(there, "installed")).toEqual(["net.d/10-weave.conflist"]);
    expect(did(there, "removed")).toEqual(["net.d/10-weave.conf"]);
    expect(files()).toEqual(["10-weave.conflist"]);
    const back = await host.setup("--format", "conf");
    expect(did(back, "installed")).toEqual(["net.d/10-weave.conf"]);
    expect(did(back, "removed")).toEqual(["net.d/10-weave.conflist"]);
    expect(files()).toEqual(["10-weave.conf"]);
  });

  test("at no moment is there none, nor one that is not whole", async () => {
    await host.setup();
    for (const format of ["conflist", "conf"]) {
      const seen: string[] = [];
      const watcher = watch(host.conf, (event, name) => seen.push(`${event} ${name}`));
      await host.setup("--format", format);
      await until(() =>
        seen.some((line) => line === `rename 10-weave.${format === "conf" ? "conflist" : "conf"}`),
      );
      watcher.close();
      const written = seen.indexOf(`change 10-weave.${format}`);
      const removed = seen.indexOf(`rename 10-weave.${format === "conf" ? "conflist" : "conf"}`);
      expect(written).toBeGreaterThan(seen.indexOf(`rename 10-weave.${format}`));
      expect(removed).toBeGreaterThan(written);
    }
  });

  test("is kept by later setups", async () => {
    await host.setup("--format", "conflist");
    expect(did(await host.setup(), "unchanged")).toContain("net.d/10-weave.conflist");
    expect(files()).toEqual(["10-weave.conflist"]);
  });

  test("another one is a wrong command line", async () => {
    expect((await host.setup("--format", "json")).code).toBe(2);
    expect(files()).toEqual([]);
  });
});

describe("versions are offered as far as every plugin of the chain speaks them", () => {
  test("an older weave-net", async () => {
    installPlugin(join(host.path, "programs/weave-net"), OLDER_VERSIONS);
    await host.setup("--format", "conflist");
    expect(host.configured("10-weave.conflist")).toMatchObject({
      cniVersion: "1.0.0",
      cniVersions: ["0.4.0", "1.0.0"],
    });
  });

  test("a plugin that an operator put into the directory of the network", async () => {
    await host.setup("--format", "conflist");
    mkdirSync(join(host.conf, "weave"));
    writeFileSync(join(host.conf, "weave/20-tuning.conf"), '{"type":"tuning"}');
    installPlugin(join(host.bin, "tuning"), ["0.3.1", "0.4.0", "1.0.0"]);
    expect(did(await host.setup(), "updated")).toEqual(["net.d/10-weave.conflist"]);
    expect(host.configured("10-weave.conflist")).toMatchObject({ cniVersions: ["0.4.0", "1.0.0"] });
    installPlugin(join(host.bin, "tuning"), ["0.3.1"]);
    await host.setup();
    expect(host.configured("10-weave.conflist")).toMatchObject({ cniVersion: "0.3.1" });
    expect(host.configured("10-weave.conflist")).not.toHaveProperty("cniVersions");
    installPlugin(join(host.bin, "tuning"), ALL_VERSIONS);
    await host.setup();
    expect(host.configured("10-weave.conflist")).toMatchObject({ cniVersions: ["0.4.0", "1.0.0", "1.1.0"] });
  });

  test("a plugin of the chain that is not there offers none, and is told", async () => {
    mkdirSync(join(host.conf, "weave"));
    writeFileSync(join(host.conf, "weave/20-tuning.conf"), '{"type":"tuning"}');
    const outcome = await host.setup("--format", "conflist");
    expect(host.configured("10-weave.conflist")).not.toHaveProperty("cniVersions");
    expect(did(outcome, "note")).toContain("plugin tuning is not in bin");
  });

  test("a chain of the user's that offers too much is told, not touched", async () => {
    const plugins = [{ type: "weave-net" }, { type: "portmap" }];
    const text = host.configure("10-weave.conflist", {
      name: "weave",
      cniVersion: "1.0.0",
      cniVersions: ["1.1.0"],
      plugins,
    });
    installPlugin(join(host.bin, "portmap"), OLDER_VERSIONS);
    const outcome = await host.setup();
    expect(did(outcome, "kept")).toEqual(["net.d/10-weave.conflist"]);
    expect(outcome.stdout).toContain("bin/portmap speaks 0.1.0 to 1.0.0;");
    expect(outcome.stdout).toContain("offers 1.1.0, too");
    expect(outcome.stdout).toContain(`run: vi ${host.conf}/10-weave.conflist`);
    expect(readFileSync(join(host.conf, "10-weave.conflist"), "utf8")).toBe(text);
  });
});

describe("a file of the user's", () => {
  const theirs = { cniVersion: "0.4.0", name: "weave", type: "weave-net", mtu: 1400 };

  test.each([
    ["conf", "conflist", "was changed since setup wrote it"],
    ["conflist", "conf", "was changed since setup wrote it"],
  ])("a changed %s refuses %s: nothing is written anywhere", async (there, wanted, why) => {
    await host.setup("--format", there);
    host.build("second");
    const text = host.configure(`10-weave.${there}`, theirs);
    const outcome = await host.setup("--format", wanted);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toBe("weave: nothing was installed\n");
    expect(outcome.stdout.replaceAll(/\s+/g, " ")).toContain(why);
    expect(outcome.stdout).toContain(
      `run: mv ${host.conf}/10-weave.${there} ${host.conf}/10-weave.${there}.off`,
    );
    expect(readFileSync(join(host.conf, `10-weave.${there}`), "utf8")).toBe(text);
    expect(files()).toEqual([`10-weave.${there}`]);
    expect(readFileSync(join(host.bin, "weave-plugin-0.1.0"), "utf8")).toContain("first");
  });

  test("one that is not from us refuses, too", async () => {
    host.configure("10-weave.conflist", { name: "weave", plugins: [theirs] });
    const outcome = await host.setup("--format", "conf");
    expect(outcome.stdout).toContain("it is not from this setup");
    expect(readdirSync(host.bin)).toEqual(["loopback"]);
  });

  test("alone, with no directory for plugins: nothing is written, not even a memory", async () => {
    host.configure("10-weave.conf", theirs);
    rmSync(host.bin, { recursive: true });
    const words = {
      programs: join(host.path, "programs"),
      version: "0.1.0",
      socket: "/s",
      dataDir: host.data,
    };
    const places = { bin: { path: host.bin, exists: false }, conf: { path: host.conf, exists: true } };
    expect(setup({ ...words, ...places }).steps.map(({ action }) => action)).toEqual(["kept", "missing"]);
    expect(existsSync(host.data)).toBe(false);
  });

  test("decides the format, if nobody says one: Weave Net left a list", async () => {
    host.configure("10-weave.conflist", { name: "weave", plugins: [theirs] });
    const outcome = await host.setup();
    expect(outcome.code).toBe(0);
    expect(did(outcome, "kept")).toEqual(["net.d/10-weave.conflist"]);
    expect(files()).toEqual(["10-weave.conflist"]);
  });

  test("beside ours: without --format both stay, and it is told; with it ours goes", async () => {
    await host.setup();
    const text = host.configure("10-weave.conflist", { name: "weave", plugins: [theirs] });
    const outcome = await host.setup();
    expect(outcome.stdout.replaceAll(/\s+/g, " ")).toContain("both describe the network weave");
    expect(files()).toEqual(["10-weave.conf", "10-weave.conflist"]);
    expect(did(await host.setup("--format", "conflist"), "removed")).toEqual(["net.d/10-weave.conf"]);
    expect(files()).toEqual(["10-weave.conflist"]);
    expect(readFileSync(join(host.conf, "10-weave.conflist"), "utf8")).toBe(text);
  });
});

describe("killed in the middle", () => {
  const path = (format: string): string => join(host.conf, `10-weave.${format}`);

  test.each([
    ["conf", "conflist"],
    ["conflist", "conf"],
  ])("between writing and removing, from %s to %s: the next setup ends the exchange", async (from, to) => {
    await host.setup("--format", from);
    const old = readFileSync(path(from));
    await host.setup("--format", to);
    const memory = Remembered.load(host.data);
    // As it stood when the new file was there and the old one, too.
    writeFileSync(path(from), old);
    const fresh = readFileSync(path(to));
    memory.whileWriting(path(from), old, () => undefined);
    memory.forget(path(to));
    memory.confirm(path(to), fresh);
    expect(did(await host.setup(), "removed")).toEqual([`net.d/10-weave.${from}`]);
    expect(files()).toEqual([`10-weave.${to}`]);
  });

  test("before the last byte of a list", async () => {
    await host.setup("--format", "conflist");
    const whole = readFileSync(path("conflist"), "utf8");
    writeFileSync(path("conflist"), whole.slice(0, -1));
    rmSync(join(host.data, "setup.json"));
    expect(did(await host.setup(), "updated")).toEqual(["net.d/10-weave.conflist"]);
    expect(readFileSync(path("conflist"), "utf8")).toBe(whole);
  });

  test("while a file is replaced, both contents are known as ours", () => {
    const memory = Remembered.load(host.data);
    memory.whileWriting("/x", "old", () => undefined);
    expect(() =>
      memory.whileWriting("/x", "new", () => {
        throw new Error("killed");
      }),
    ).toThrow("killed");
    const next = Remembered.load(host.data);
    expect([next.wrote("/x", "old"), next.wrote("/x", "new"), next.wrote("/x", "other")]).toEqual([
      true,
      true,
      false,
    ]);
    next.whileWriting("/x", "new", () => undefined);
    expect(Remembered.load(host.data).wrote("/x", "old")).toBe(false);
  });

  test("temporary files of the dead go, those of the living stay", async () => {
    const dead = [".10-weave.conflist.999999999.tmp", ".10-weave.conf.999999999.tmp"];
    const alive = `.10-weave.conf.${process.ppid}.tmp`;
    for (const name of [...dead, alive, ".05-other.conf.999999999.tmp"]) host.configure(name, "{");
    mkdirSync(host.data);
    writeFileSync(join(host.data, ".setup.json.999999999.tmp"), "{");
    await host.setup();
    expect(files()).toEqual([".05-other.conf.999999999.tmp", alive, "10-weave.conf"].sort());
    expect(readdirSync(host.data)).toEqual(["setup.json"]);
  });
});

test("our texts are known as ours in every variant, others not", () => {
  const texts: [string, string][] = [
    ["10-weave.conf", singleConfiguration()],
    ["weave.conf", mesosConfiguration()],
    ...[ALL_VERSIONS, OLDER_VERSIONS, ["1.1.0"], ["0.3.1"], []].map((versions): [string, string] => [
      "10-weave.conflist",
      listConfiguration(versions),
    ]),
  ];
  for (const [file, text] of texts) {
    expect(isOurText(file, text)).toBe(true);
    expect(isOurText(file, text.slice(0, -1))).toBe(true);
    expect(isOurText(file, text.replace("true", "false"))).toBe(false);
    expect(isOurText("05-x.conf", text)).toBe(false);
  }
});

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error("it did not happen within 5 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
