import { describe, expect, test } from "vitest";
import { WeaveError } from "../src/core/errors.ts";
import { type Call, Harness, NOTHING_LEFT } from "./testing/harness.ts";
import { CNI_VERSIONS } from "./versions.ts";

async function withContainers(...ids: string[]): Promise<Harness> {
  const daemon = new Harness();
  daemon.attachments.size = 20;
  for (const id of ids) await daemon.call("ADD", { id, body: { netnsFd: Number.parseInt(id.slice(2), 10) } });
  return daemon;
}

describe("DEL", () => {
  test.each<[string, Call]>([
    ["as ADD was called", {}],
    ["with an empty CNI_NETNS", { netns: "" }],
    ["with a namespace that is gone", { netns: "/run/netns/gone", body: { netnsError: "ENOENT" } }],
    [
      "with another configuration",
      { config: { vlan: 7, mtu: "x", ipam: { type: "host-local", subnet: "nonsense" } } },
    ],
    [
      "with garbage in prevResult and CNI_ARGS",
      { config: { prevResult: "garbage", runtimeConfig: 5 }, args: "A=B=C" },
    ],
    ...CNI_VERSIONS.map((cniVersion): [string, Call] => [
      `in version ${cniVersion}`,
      { config: { cniVersion } },
    ]),
  ])("%s removes all and says nothing", async (_, call) => {
    const daemon = await withContainers("c-1");
    expect(await daemon.call("DEL", call)).toMatchObject({ exit: 0, stdout: "", stderr: "" });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("succeeds again and again, and for a container nobody knows", async () => {
    const daemon = await withContainers("c-1");
    for (let i = 0; i < 10; i++) expect((await daemon.call("DEL")).exit).toBe(0);
    expect((await daemon.call("DEL", { id: "never" })).exit).toBe(0);
  });

  test("removes the link of an attachment the daemon has forgotten", async () => {
    const daemon = await withContainers("c-1");
    daemon.attachments.held.clear();
    expect((await daemon.call("DEL")).exit).toBe(0);
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("leaves other interfaces, networks and containers alone", async () => {
    const daemon = await withContainers("c-1", "c-2");
    await daemon.call("ADD", { ifname: "eth1" });
    await daemon.call("ADD", { ifname: "eth2", config: { name: "net2" } });
    await daemon.call("DEL");
    expect([...daemon.attachments.held.keys()].sort()).toEqual([
      "net1/c-1/eth1",
      "net1/c-2/eth0",
      "net2/c-1/eth2",
    ]);
    expect(daemon.kernel.links.size).toBe(3);
  });

  test("removes the link before the address", async () => {
    const daemon = await withContainers("c-1");
    const order: string[] = [];
    daemon.attachments.before = (operation) => void order.push(operation);
    daemon.kernel.before = (operation) => void order.push(operation);
    await daemon.call("DEL");
    expect(order).toEqual(["detach", "release c-1"]);
  });

  test("keeps the address while the link cannot be removed", async () => {
    const daemon = await withContainers("c-1");
    daemon.kernel.before = () => {
      throw new WeaveError("kernel", "EBUSY");
    };
    expect((await daemon.call("DEL")).json).toMatchObject({ code: 104 });
    expect(daemon.residue().addresses).toBe("net1/c-1/eth0");
  });

  test.each(["openNetns", "gateways", "allocate", "attach", "commit"])(
    "ends an ADD that hangs in %s, then removes",
    async (where) => {
      const daemon = new Harness();
      const { reached, release } = daemon.holdAt(where);
      const finished: string[] = [];
      const add = daemon.call("ADD").finally(() => finished.push("ADD"));
      await reached;
      const del = daemon.call("DEL").finally(() => finished.push("DEL"));
      await new Promise(setImmediate);
      expect(finished).toEqual([]);
      release();
      expect((await add).json).toMatchObject({ code: 11 });
      expect((await del).exit).toBe(0);
      expect(finished).toEqual(["ADD", "DEL"]);
      expect(daemon.residue()).toEqual(NOTHING_LEFT);
    },
  );

  test("an ADD behind a DEL is a new life", async () => {
    const daemon = await withContainers("c-1");
    const [del, add] = await Promise.all([daemon.call("DEL"), daemon.call("ADD")]);
    expect([del?.exit, add?.exit]).toEqual([0, 0]);
    expect(daemon.residue().addresses).toBe("net1/c-1/eth0");
  });
});

describe("GC", () => {
  const valid = (...pairs: [string, string][]): unknown =>
    pairs.map(([containerID, ifname]) => ({ containerID, ifname }));
  const left = (daemon: Harness): string[] => [...daemon.attachments.held.keys()].sort();

  test.each([
    ["the released name", ["cni.dev/valid-attachments"]],
    ["the name of the tagged text", ["cni.dev/attachments"]],
    ["both names", ["cni.dev/valid-attachments", "cni.dev/attachments"]],
  ])("keeps what is listed under %s", async (_, keys) => {
    const daemon = await withContainers("c-1", "c-2", "c-3");
    const list = valid(["c-1", "eth0"], ["c-2", "eth0"], ["c-9", "eth0"]);
    const config = Object.fromEntries(keys.map((key) => [key, list]));
    expect(await daemon.call("GC", { config, id: "", ifname: "", netns: "" })).toMatchObject({
      exit: 0,
      stdout: "",
    });
    expect(left(daemon)).toEqual(["net1/c-1/eth0", "net1/c-2/eth0"]);
    expect(daemon.kernel.links.size).toBe(2);
    expect((await daemon.call("GC", { config })).exit).toBe(0);
  });

  test("a pair counts as a whole", async () => {
    const daemon = await withContainers("c-1");
    await daemon.call("ADD", { ifname: "eth1" });
    await daemon.call("GC", { config: { "cni.dev/valid-attachments": valid(["c-1", "eth1"]) } });
    expect(left(daemon)).toEqual(["net1/c-1/eth1"]);
  });

  test.each([[[]], [null]])("%j removes all of this network and none of another", async (list) => {
    const daemon = await withContainers("c-1", "c-2");
    await daemon.call("ADD", { ifname: "eth1", config: { name: "net2" } });
    await daemon.call("GC", { config: { "cni.dev/valid-attachments": list } });
    expect(left(daemon)).toEqual(["net2/c-1/eth1"]);
  });

  test("without a list removes nothing", async () => {
    const daemon = await withContainers("c-1");
    expect((await daemon.call("GC")).exit).toBe(0);
    expect(left(daemon)).toEqual(["net1/c-1/eth0"]);
  });

  test.each(["all", {}, [{ containerID: "c-1" }], ["c-1"]])(
    "%j is no list: code 7, nothing removed",
    async (list) => {
      const daemon = await withContainers("c-1");
      expect((await daemon.call("GC", { config: { "cni.dev/valid-attachments": list } })).json).toMatchObject(
        { code: 7 },
      );
      expect(left(daemon)).toEqual(["net1/c-1/eth0"]);
    },
  );

  test("one that cannot be removed is told, the rest is removed", async () => {
    const daemon = await withContainers("c-1", "c-2", "c-3");
    daemon.attachments.before = (operation) => {
      if (operation === "release c-2") throw new WeaveError("storage", "disk full");
    };
    const { json } = await daemon.call("GC", { config: { "cni.dev/valid-attachments": [] } });
    expect(json).toMatchObject({ code: 104, msg: expect.stringContaining("c-2 eth0: disk full") });
    expect(left(daemon)).toEqual(["net1/c-2/eth0"]);
  });

  test("leaves an attachment whose ADD is under way", async () => {
    const daemon = await withContainers("c-1");
    const { reached, release } = daemon.holdAt("attach");
    const add = daemon.call("ADD", { id: "c-2", body: { netnsFd: 9 } });
    await reached;
    await daemon.call("GC", { config: { "cni.dev/valid-attachments": [] } });
    release();
    expect((await add).exit).toBe(0);
    expect(left(daemon)).toEqual(["net1/c-2/eth0"]);
  });
});
