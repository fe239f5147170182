// Removal, joining another cluster and leaving, in a small simulated world: who decides, who takes, who is told what, and
// what becomes of the containers.
import { describe, expect, it } from "vitest";
import type { Reply } from "../../src/core/requests.ts";
import { addressOf, World } from "./world.ts";

const names = ["alice", "bob", "carol", "dave", "erin"];

/** So many hosts, each with the others' names, one cluster, voters settled. */
async function cluster(size: number, seed = 7): Promise<World> {
  const all = names.slice(0, size);
  const targets = all.map((_, i) => addressOf(i));
  const w = new World({ seed, peers: all.map((name) => ({ name, targets })), universe: "10.32.0.0/24" });
  await w.startAll();
  await w.run(30_000);
  expect(new Set(w.hosts.map((host) => host.node?.cluster)).size).toBe(1);
  return w;
}

const ask = (w: World, host: string, ...peers: string[]): Promise<Reply | undefined> =>
  w.answer(w.host(host).runner?.request({ kind: "remove", peers }) ?? Promise.resolve(undefined));

const ownersIn = (w: World, host: string): Set<string> =>
  new Set(
    w
      .host(host)
      .node?.facts()
      .pools[0]?.ring?.ranges.map((r) => r.owner),
  );

describe("rmpeer", () => {
  it("on all hosts at once has one winner, who takes everything the dead host had", async () => {
    const w = await cluster(5);
    w.host("erin").kill();
    await w.run(60_000);
    const replies = await Promise.all(names.slice(0, 4).map((name) => ask(w, name, "erin")));
    const decisions = replies.map((reply) => (reply?.ok === true ? reply.decision : undefined));
    expect(new Set(decisions.map((d) => d?.heir)).size).toBe(1);
    expect(decisions.filter((d) => d?.removed.includes("erin"))).toHaveLength(1);
    expect(decisions.filter((d) => d?.already.includes("erin"))).toHaveLength(3);
    await w.run(5_000);
    for (const name of names.slice(0, 4)) expect(ownersIn(w, name)).not.toContain("erin");
    expect(await ask(w, "alice", "erin")).toMatchObject({
      ok: true,
      decision: { removed: [], already: ["erin"] },
    });
    expect(await ask(w, "alice", "nobody")).toMatchObject({ ok: false, code: "unknown-peer" });
  });

  it("in a partition is decided only where the quorum is", async () => {
    const w = await cluster(5);
    const [a, b, c, d, e] = names.map((_, i) => addressOf(i)) as [string, string, string, string, string];
    w.network.partition([
      [a, b],
      [c, d, e],
    ]);
    await w.run(60_000);
    expect(await ask(w, "alice", "erin")).toMatchObject({ ok: false, code: "no-quorum" });
    expect(await ask(w, "carol", "bob")).toMatchObject({
      ok: true,
      decision: { heir: "carol", removed: ["bob"] },
    });
  });

  it("of one of two hosts needs force, and force is refused while a quorum answers", async () => {
    const w = await cluster(2);
    expect(
      await w.answer(
        w.host("alice").runner?.request({ kind: "remove", peers: ["bob"], force: true }) ?? Promise.reject(),
      ),
    ).toMatchObject({ ok: false, code: "bad-request" });
    w.host("bob").kill();
    await w.run(60_000);
    expect(await ask(w, "alice", "bob")).toMatchObject({ ok: false, code: "no-quorum" });
    const before = w.host("alice").node?.cluster;
    const forced = w.host("alice").runner?.request({ kind: "remove", peers: ["bob"], force: true });
    expect(await w.answer(forced ?? Promise.reject())).toMatchObject({
      ok: true,
      decision: { heir: "alice", removed: ["bob"] },
    });
    await w.run(1_000);
    expect(w.host("alice").node?.cluster).not.toBe(before);
    expect(ownersIn(w, "alice")).toEqual(new Set(["alice"]));
    expect(w.host("alice").node?.facts().council.configuration?.lineage).toMatchObject([
      { cluster: before, by: "alice", removed: ["bob"] },
    ]);
  });

  it("waits for who may know of a gift, and says for whom", async () => {
    const w = await cluster(5);
    w.host("dave").kill();
    w.host("erin").kill();
    await w.run(60_000);
    expect(await ask(w, "alice", "erin")).toMatchObject({ ok: true });
    await w.run(10_000);
    expect(ownersIn(w, "alice")).toContain("erin");
    expect(w.host("alice").node?.facts().taking(0)).toMatchObject({ of: ["erin"], waitingFor: ["dave"] });
    await w.host("dave").start();
    await w.run(60_000);
    for (const name of names.slice(0, 4)) expect(ownersIn(w, name)).not.toContain("erin");
  });

  it("is known to all who stay, whoever dies on the way, and if only the removed one has counted the votes", async () => {
    let counted = 0;
    for (let point = 1; point <= 40; point++) {
      const w = await cluster(3, point);
      const [alice, bob, carol] = ["alice", "bob", "carol"].map((name) => w.host(name));
      const before = alice?.node?.facts().council.era?.epoch ?? 0;
      alice?.lightFuse(point);
      void ask(w, "alice", "bob").catch(() => {});
      await w.run(30_000);
      if (alice?.isUp === true) continue;
      const epochs = [bob, carol].map((host) => host?.node?.facts().council.era?.epoch);
      const expected = bob?.asides === 0 ? before : before + 1;
      expect(epochs, `alice died at call ${point}`).toEqual([expected, expected]);
      if (expected > before) counted++;
    }
    expect(counted).toBeGreaterThan(0);
  });

  it("does not wait for who took a removed peer's name for a moment", async () => {
    const w = await cluster(5);
    for (const name of ["dave", "erin"]) w.host(name).kill();
    await w.run(60_000);
    expect(await ask(w, "alice", "erin")).toMatchObject({ ok: true });
    // Its ranges wait for dave's answer, so whoever comes as erin now learns that the name is another's.
    w.host("erin").loseDisk("erin", [addressOf(0)]);
    await w.host("erin").start();
    await w.run(30_000);
    expect(w.host("erin").peerName).toMatch(/^erin-[0-9a-f]{4}$/);
    expect(await ask(w, "alice", "dave")).toMatchObject({ ok: true });
    await w.run(30_000);
    expect([...ownersIn(w, "alice")].sort()).toEqual(["alice", "bob", "carol", w.host("erin").peerName]);
  });
});

const addresses = (w: World, id: string): readonly string[] => [...w.host(id).containers.values()].sort();

describe("a removed peer that returns", () => {
  it("joins under another name, keeps what is free, and is told what is not", async () => {
    const w = await cluster(3);
    const [alice, carol] = [w.host("alice"), w.host("carol")];
    for (const c of ["c1", "c2"]) expect(await w.answer(carol.add(c))).toBeUndefined();
    await w.run(1_000);
    const before = addresses(w, "carol");
    const [taken = "", kept = ""] = before.map((cidr) => cidr.split("/")[0] ?? "");
    w.network.partition([[addressOf(0), addressOf(1)], [addressOf(2)]]);
    await w.run(60_000);
    expect(await ask(w, "alice", "carol")).toMatchObject({ ok: true });
    await w.run(5_000);
    expect(await w.answer(alice.add("same", { addresses: [taken] }))).toBeUndefined();
    expect(w.witness.asideDuplicates).toBe(1);
    w.network.heal();
    await w.run(120_000);
    expect(carol.asides).toBe(1);
    expect(carol.peerName).toMatch(/^carol-[0-9a-f]{4}$/);
    expect(addresses(w, "carol")).toEqual(before); // both go on
    expect(carol.node?.facts().lost).toMatchObject([{ address: taken }]);
    expect(alice.node?.endpoints().byAddress.get(kept)).toMatchObject({ peer: carol.peerName });
    expect(alice.node?.endpoints().byAddress.get(taken)).toMatchObject({ peer: "alice" });
    await w.answer(alice.remove("same"));
    await w.run(120_000);
    expect(carol.node?.facts().lost).toEqual([]);
    await w.settle();
    await w.checkQuiet();
  });
});

/** Two clusters with containers, alice and bob's and carol and dave's, which bob has connected. */
async function islands(): Promise<World> {
  const peers = names
    .slice(0, 4)
    .map((name, i) => ({ name, targets: i % 2 === 0 ? [] : [addressOf(i - 1)] }));
  const w = new World({ seed: 3, peers, universe: "10.32.0.0/24" });
  await w.startAll();
  await w.run(10_000);
  for (const host of w.hosts) expect(await w.answer(host.add(`on-${host.id}`))).toBeUndefined();
  await w.host("bob").connect(addressOf(2));
  await w.run(60_000);
  return w;
}

describe("two islands", () => {
  it("go on apart when they meet, until one of them joins the other with its containers", async () => {
    const w = await islands();
    const clusterOf = (id: string) => w.host(id).node?.cluster ?? "";
    expect(clusterOf("alice")).toBe(clusterOf("bob"));
    expect(clusterOf("carol")).not.toBe(clusterOf("alice"));
    expect([...(w.host("bob").node?.facts().foreign.keys() ?? [])]).toEqual(["carol"]);
    expect([...(w.host("carol").node?.facts().foreign.keys() ?? [])]).toEqual(["bob"]);
    const join = { kind: "join-cluster", cluster: clusterOf("alice") } as const;
    const asked = w.host("carol").runner?.request(join) ?? Promise.reject(new Error("away"));
    expect(await w.answer(asked)).toMatchObject({ ok: true });
    await w.run(180_000);
    expect(new Set(w.hosts.map((host) => host.node?.cluster)).size).toBe(1);
    expect(w.hosts.map(({ asides }) => asides)).toEqual([0, 0, 1, 1]);
    // Both clusters gave out from the bottom: who came over keeps what is free.
    for (const host of w.hosts) {
      const lost = host.node?.facts().lost.length ?? 0;
      expect(host.containerCount - host.formers.size).toBe(1 - lost);
    }
    await w.settle();
    await w.checkQuiet();
  });

  it("that give way to each other in one moment are one in the end, with their containers", async () => {
    const w = await islands();
    const ask = (id: string, other: string) =>
      w.host(id).runner?.request({ kind: "join-cluster", cluster: w.host(other).node?.cluster ?? "" }) ??
      Promise.reject(new Error("away"));
    await w.answer(Promise.all([ask("bob", "carol"), ask("carol", "bob")]));
    await w.run(10_000);
    expect(w.hosts.map((host) => host.node?.cluster)).toEqual([undefined, undefined, undefined, undefined]);
    await w.run(180_000);
    expect(new Set(w.hosts.map((host) => host.node?.cluster)).size).toBe(1);
    for (const host of w.hosts) {
      expect(host.node?.cluster).toBeDefined();
      const lost = host.node?.facts().lost.length ?? 0;
      expect(host.containerCount - host.formers.size).toBe(1 - lost);
      expect(await w.answer(host.add(`later-on-${host.id}`))).toBeUndefined();
    }
    await w.settle();
    await w.checkQuiet();
  });
});

describe("leaving", () => {
  it("hands everything over, and the name may come back with an empty disk", async () => {
    const w = await cluster(5);
    const erin = w.host("erin");
    expect(await w.answer(erin.add("e"))).toBeUndefined();
    await w.answer(erin.remove("e"));
    const reply = await w.answer(
      erin.runner?.request({ kind: "leave" }) ?? Promise.reject(new Error("away")),
    );
    expect(reply).toMatchObject({ ok: true, left: { voter: "replaced" } });
    await w.run(1_000);
    for (const name of names.slice(0, 4)) expect(ownersIn(w, name)).not.toContain("erin");
    erin.loseDisk("erin", [addressOf(0)]);
    await erin.start();
    await w.run(30_000);
    expect(await w.answer(erin.add("again"))).toBeUndefined();
    expect(erin.peerName).toBe("erin");
    await w.settle();
    await w.checkQuiet();
  });
});
