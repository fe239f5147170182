// Podman 4 with its CNI backend attaches containers through the installed plugin. It reads lists only, asks VERSION of
// every plugin on every command, puts `--ip` and `--mac-address` into CNI_ARGS, and tears down from its cache.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import { expectNothingLeft, leftoversOf } from "../support/containerd/leftovers.ts";
import type { Machine } from "../support/containerd/machine.ts";
import { useMachines } from "../support/containerd/machine-lab.ts";
import { BOX_IMAGE, buildImages, serve, WAIT } from "../support/images.ts";
import { Podman } from "../support/podman/podman.ts";

/** A network of the user's own beside ours: another name, a part of the range. */
const BACK = {
  cniVersion: "1.0.0",
  name: "back",
  plugins: [{ type: "weave-net", ipam: { type: "weave-ipam", subnet: "10.44.0.0/16", routes: [] } }],
};

describe("podman", () => {
  const { lab, machines } = useMachines(1);
  let machine: Machine;
  let podman: Podman;
  let outside: TestNamespace;
  let before: Awaited<ReturnType<typeof leftoversOf>>;

  beforeAll(async () => {
    const [first] = machines;
    if (first === undefined) throw new Error("there is no machine");
    machine = first;
    await machine.setup("--format", "conflist");
    writeFileSync(join(machine.cniConfDir, "20-back.conflist"), JSON.stringify(BACK));
    await lab.launchAll();
    podman = new Podman(machine);
    await podman.start(buildImages(join(lab.dir, "podman-images")));
    outside = (await lab.addOutsider()).namespace;
    // The first container exposes the bridge, and that stays.
    await podman.ok(
      "run",
      "--rm",
      ...podman.runOptions,
      "--network",
      "weave,back",
      "localhost/weave-box:1",
      "true",
    );
    before = await leftoversOf(machine);
  });
  // Also what a test that failed in its middle has left.
  afterEach(async () => {
    await podman?.ok("rm", "--all", "--force", "--time", "0");
    await expectNothingLeft(machine, before);
  });

  it("lists and inspects the network that setup wrote", async () => {
    const names = (await podman.ok("network", "ls", "--format", "{{.Name}} {{.Driver}}")).split("\n");
    expect(names).toContain("weave weave-net");
    const inspected: unknown = JSON.parse(await podman.ok("network", "inspect", "weave"));
    expect(inspected).toMatchObject([{ name: "weave", driver: "weave-net" }]);
  });

  it("attaches containers that reach each other and the host, and leaves nothing", async () => {
    await podman.run("one", ["--network", "weave"], serve(80));
    await podman.run("two", ["--network", "weave"]);
    const [one, two] = [await podman.addressOf("one"), await podman.addressOf("two")];
    expect(await addressIn("two", "eth0")).toBe(two);
    expect((await podman.exec("two", "ping", "-c", "1", "-W", "1", one)).exit).toBe(0);
    expect((await podman.exec("two", "wget", "-q", "-O", "-", `http://${one}/cgi-bin/source`)).stdout).toBe(
      two,
    );
    expect((await podman.exec("two", "ping", "-c", "1", "-W", "1", machine.address)).exit).toBe(0);
    expect(await machine.namespace.succeeds(`ping -n -c 1 -W 1 ${one}`)).toBe(true);
  });

  it("gives --ip and --mac-address exactly, and refuses an address that is taken", async () => {
    const wishes = ["--ip", "10.40.0.9", "--mac-address", "02:00:00:00:00:09"];
    await podman.run("wished", ["--network", "weave", ...wishes]);
    expect((await podman.networksOf("wished"))["weave"]).toMatchObject({
      IPAddress: "10.40.0.9",
      IPPrefixLen: 12,
      MacAddress: "02:00:00:00:00:09",
    });
    expect(await addressIn("wished", "eth0")).toBe("10.40.0.9");
    const links = (await podman.exec("wished", "ip", "link", "show", "eth0")).stdout;
    expect(links).toContain("02:00:00:00:00:09");

    const refused = await podman.tryRun("late", ["--network", "weave", "--ip", "10.40.0.9"]);
    expect(refused.exit).not.toBe(0);
    expect(refused.stderr).toMatch(/10\.40\.0\.9/);
  });

  it("publishes ports: from other machines, from the host, from a neighbour; and one only once", async () => {
    await podman.run(
      "web",
      ["--network", "weave", "-p", "8080:80", "-p", "8443-8444:8443-8444/udp"],
      serve(80),
    );
    const page = "busybox wget -q -O - http://";
    const name = (await podman.exec("web", "hostname")).stdout.trim();
    for (const from of [outside, machine.namespace]) {
      expect(await from.run(`${page}${machine.address}:8080/cgi-bin/name`)).toBe(name);
    }
    expect(await machine.namespace.run(`${page}127.0.0.1:8080/cgi-bin/name`)).toBe(name);
    await podman.run("neighbour", ["--network", "weave"]);
    const asked = await podman.exec(
      "neighbour",
      "wget",
      "-q",
      "-O",
      "-",
      `http://${machine.address}:8080/cgi-bin/name`,
    );
    expect(asked.stdout).toBe(name);

    // Podman holds the port itself and refuses before it asks us.
    const refused = await podman.tryRun("late", ["--network", "weave", "-p", "8080:80"]);
    expect(refused.exit).not.toBe(0);
    await podman.ok("rm", "--force", "--time", "0", "web");
    expect(await outside.succeeds(`${page}${machine.address}:8080/`)).toBe(false);
  });

  it("attaches to two networks, with an address of each, and to one more while it runs", async () => {
    await podman.run("both", [
      "--network",
      "weave:ip=10.40.0.21,alias=db",
      "--network",
      "back:ip=10.44.0.21",
    ]);
    expect(await addressIn("both", "eth0")).toBe("10.40.0.21");
    expect(await addressIn("both", "eth1")).toBe("10.44.0.21");

    await podman.run("grows", ["--network", "weave"]);
    await podman.ok("network", "connect", "back", "grows");
    const address = await podman.addressOf("grows", "back");
    expect(address).toMatch(/^10\.44\./);
    expect(await addressIn("grows", "eth1")).toBe(address);
    expect((await podman.exec("both", "ping", "-c", "1", "-W", "1", address)).exit).toBe(0);
    await podman.ok("network", "disconnect", "back", "grows");
    expect((await podman.exec("grows", "ip", "link", "show", "eth1")).exit).not.toBe(0);
    expect((await podman.exec("grows", "ping", "-c", "1", "-W", "1", "10.40.0.21")).exit).toBe(0);
  });

  it("starts a stopped container again, and one whose process was killed", async () => {
    await podman.run("again", ["--network", "weave", "--ip", "10.40.0.31", "-p", "8081:80"], serve(80));
    await podman.ok("stop", "--time", "0", "again");
    await expectNothingLeft(machine, before);
    await podman.ok("start", "again");
    expect(await podman.addressOf("again")).toBe("10.40.0.31");
    await podman.ok("kill", "again");
    await eventually(
      "the container has ended",
      async () => (await podman.ok("ps", "--format", "{{.Names}}")) === "",
    );
    await podman.ok("start", "again");
    expect(await outside.succeeds(`busybox wget -q -O - http://${machine.address}:8081/cgi-bin/name`)).toBe(
      true,
    );
  });

  it("starts five at once", async () => {
    const names = await Promise.all(
      Array.from({ length: 5 }, (_, number) => podman.run(`p${number}`, ["--network", "weave"])),
    );
    const addresses = await Promise.all(names.map((name) => podman.addressOf(name)));
    expect(new Set(addresses).size).toBe(5);
    for (const address of addresses)
      expect(await machine.namespace.succeeds(`ping -n -c 1 -W 1 ${address}`)).toBe(true);
  });

  it("weave attach and detach connect what podman gave no network, by name and by id", async () => {
    const id = (
      await podman.ok(
        "run",
        "--detach",
        "--name",
        "bare",
        "--network",
        "none",
        ...podman.runOptions,
        BOX_IMAGE,
        ...WAIT,
      )
    ).trim();
    const address = (await podman.weave("attach", "bare")).trim().split("/")[0] ?? "";
    expect(await addressIn("bare", "ethwe")).toBe(address);
    expect(await podman.weave("attach", id)).toMatch(new RegExp(`^${address}/`));
    expect(await machine.namespace.succeeds(`ping -n -c 1 -W 1 ${address}`)).toBe(true);
    expect(await podman.weave("ps", "bare")).toMatch(new RegExp(`^${id.slice(0, 12)} \\S+ ${address}/`));
    expect(await podman.weave("detach", "bare")).toMatch(new RegExp(`^${address}/`));
    expect(await machine.namespace.succeeds(`ping -n -c 1 -W 1 ${address}`)).toBe(false);
  });

  it("removes what it attached while the daemon is away", async () => {
    await podman.run("away", ["--network", "weave", "-p", "8082:80"]);
    await machine.stop();
    await podman.ok("rm", "--force", "--time", "0", "away");
    await machine.launch();
    await machine.untilOk();
  });

  async function addressIn(name: string, ifname: string): Promise<string | undefined> {
    const { stdout } = await podman.exec(name, "ip", "-4", "address", "show", ifname);
    return /inet ([\d.]+)\//.exec(stdout)?.[1];
  }
});
