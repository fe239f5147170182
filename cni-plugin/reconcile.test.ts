import { describe, expect, test } from "vitest";
import { WeaveError } from "../src/core/errors.ts";
import { Harness, NOTHING_LEFT } from "./testing/harness.ts";

/** The namespace ends, and with it the pair. */
function end(daemon: Harness): void {
  daemon.kernel.links.clear();
  daemon.kernel.dead.add("ns-1");
}

describe("what is freed", () => {
  test("attachments of a namespace that is known to be dead", async () => {
    const daemon = new Harness();
    await daemon.call("ADD");
    end(daemon);
    await daemon.plugin.reconcile();
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("addresses that weave-ipam gave away, by the same evidence", async () => {
    const daemon = new Harness();
    await daemon.call("ADD", { program: "weave-ipam" });
    await daemon.plugin.reconcile();
    expect(daemon.residue().addresses).not.toBe("");
    daemon.kernel.dead.add("ns-1");
    await daemon.plugin.reconcile();
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("attachments of an earlier boot, and an ADD that was cut short, links included", async () => {
    const daemon = new Harness();
    await daemon.call("ADD");
    daemon.bootId = "boot-2";
    await daemon.plugin.reconcile();
    expect(daemon.residue()).toEqual(NOTHING_LEFT);

    await daemon.call("ADD");
    for (const [id, one] of daemon.attachments.held)
      daemon.attachments.held.set(id, { ...one, committed: false });
    await daemon.plugin.reconcile();
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("after a GC that lists everything", async () => {
    const daemon = new Harness();
    await daemon.call("ADD");
    end(daemon);
    const valid = [{ containerID: "c-1", ifname: "eth0" }];
    await daemon.call("GC", {
      id: "",
      ifname: "",
      netns: "",
      config: { "cni.dev/valid-attachments": valid },
    });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });
});

describe("what is kept", () => {
  test.each<[string, (daemon: Harness) => void]>([
    ["an interface that was deleted in a namespace that may live", (d) => d.kernel.links.clear()],
    ["a dead namespace whose host end is still there: it is not dead", (d) => d.kernel.dead.add("ns-1")],
  ])("%s", async (_, spoil) => {
    const daemon = new Harness();
    await daemon.call("ADD");
    spoil(daemon);
    await daemon.plugin.reconcile();
    expect(daemon.residue().addresses).toBe("net1/c-1/eth0");
  });

  test("an attachment with a call under way", async () => {
    const daemon = new Harness();
    const held = daemon.holdAt("commit");
    const adding = daemon.call("ADD");
    await held.reached;
    await daemon.plugin.reconcile();
    held.release();
    expect((await adding).exit).toBe(0);
    expect(daemon.residue().addresses).toBe("net1/c-1/eth0");
  });

  test("a container that took the key over while namespaces were looked for", async () => {
    const daemon = new Harness();
    await daemon.call("ADD", { body: { bootMs: 1_100 } });
    end(daemon);
    const held = daemon.holdAt("deadNetns");
    const reconciling = daemon.plugin.reconcile();
    await held.reached;
    daemon.kernel.netns.set("/run/netns/c1", "ns-2");
    await daemon.call("DEL", { body: { bootMs: 1_200 } });
    expect((await daemon.call("ADD", { body: { bootMs: 1_300 } })).exit).toBe(0);
    held.release();
    await reconciling;
    expect(daemon.residue().addresses).toBe("net1/c-1/eth0");
    expect(daemon.residue().links).not.toBe("");
  });

  test("all, when the kernel cannot be asked; it is logged", async () => {
    const daemon = new Harness();
    await daemon.call("ADD");
    end(daemon);
    daemon.kernel.before = (operation) => {
      if (operation === "deadNetns") throw new WeaveError("kernel", "EIO");
    };
    await daemon.plugin.reconcile();
    expect(daemon.residue().addresses).toBe("net1/c-1/eth0");
    expect(daemon.logged).toContain("reconciliation failed");
  });
});

test("a container that changed its MAC is published anew, once", async () => {
  const daemon = new Harness();
  await daemon.call("ADD");
  daemon.kernel.macs.set(daemon.residue().links, "02:00:00:00:00:77");
  let commits = 0;
  daemon.attachments.before = (operation) => void (operation === "commit" && commits++);
  await daemon.plugin.reconcile();
  await daemon.plugin.reconcile();
  expect(commits).toBe(1);
  expect(daemon.attachments.held.get("net1/c-1/eth0")).toMatchObject({
    mac: "02:00:00:00:00:77",
    netns: "ns-1",
    hairpin: true,
  });
});

describe("limits that somebody removed", () => {
  const limited = { runtimeConfig: { bandwidth: { egressRate: 8000, egressBurst: 800 } } };

  test("are put back, once; one without limits is left alone", async () => {
    const daemon = new Harness();
    await daemon.call("ADD", { config: limited });
    await daemon.call("ADD", { id: "c-2", netns: "/proc/1/fd/9", body: { netns: undefined } });
    await daemon.plugin.reconcile();
    expect(daemon.kernel.shaped).toEqual([]);
    const [name = ""] = daemon.kernel.links.keys();
    daemon.kernel.unshaped.add(name);
    await daemon.plugin.reconcile();
    await daemon.plugin.reconcile();
    expect(daemon.kernel.shaped).toEqual([[name, { egress: { rate: 8000, burst: 800 } }]]);
    expect(daemon.logged).toContain("the limits of a container are back");
  });

  test("are not put back on what a DEL removes meanwhile", async () => {
    const daemon = new Harness();
    await daemon.call("ADD", { config: limited });
    daemon.kernel.unshaped.add(daemon.residue().links);
    const deletions: Promise<unknown>[] = [];
    daemon.kernel.before = (operation) => {
      if (operation === "shapingFaults") deletions.push(daemon.call("DEL"));
    };
    await daemon.plugin.reconcile();
    await Promise.all(deletions);
    expect(deletions).toHaveLength(1);
    expect(daemon.kernel.shaped).toEqual([]);
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("that cannot be put back are logged, and the rest goes on", async () => {
    const daemon = new Harness();
    await daemon.call("ADD", { config: limited });
    daemon.kernel.unshaped.add(daemon.residue().links);
    daemon.kernel.before = (operation) => {
      if (operation === "shape") throw new WeaveError("feature-missing", "no tbf");
    };
    await daemon.plugin.reconcile();
    expect(daemon.logged).toContain("the limits of a container could not be put back");
  });
});
