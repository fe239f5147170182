// What one allocation may meet: other owners, exhaustion, manual addresses, journalled releases, a lost disk.
import { describe, expect, it } from "vitest";
import { createMemoryStore } from "../../src/adapters/store-memory.ts";
import { addressOf, World } from "./world.ts";

const [A] = [addressOf(0)];
const pair = (universe: string): World =>
  new World({
    seed: 3,
    universe,
    peers: [
      { name: "alice", targets: [] },
      { name: "bob", targets: [A ?? ""] },
    ],
  });

async function started(w: World): Promise<World> {
  await w.startAll();
  await w.run(10_000);
  return w;
}

/** Containers on a host until it is refused one. */
async function fill(w: World, name: string): Promise<void> {
  for (let i = 0; i < 20; i++) if ((await w.answer(w.host(name).add(`${name}-${i}`))) !== undefined) return;
  throw new Error(`${name} never ran out of addresses`);
}

describe("an ADD when nobody has a free address", () => {
  it("gets what the only other owner frees a moment later, though that one has just denied", async () => {
    const w = await started(pair("10.32.0.0/29"));
    for (const name of ["alice", "bob"]) await fill(w, name);
    const added = w.host("bob").add("late");
    await w.run(1_500);
    await w.answer(w.host("alice").remove("alice-0"));
    expect(await w.answer(added)).toBeUndefined();
    await w.settle();
    await w.checkQuiet();
  });

  it("asks anew, though a donor denied somebody else a moment ago", async () => {
    const w = await started(pair("10.32.0.0/29"));
    for (const name of ["alice", "bob"]) await fill(w, name);
    await w.answer(w.host("alice").remove("alice-0"));
    expect(await w.answer(w.host("bob").add("next"))).toBeUndefined();
  });

  it("is refused within seconds, not at the end of all patience", async () => {
    const w = await started(pair("10.32.0.0/29"));
    for (const name of ["alice", "bob"]) await fill(w, name);
    const before = w.schedule.now();
    expect(await w.answer(w.host("bob").add("one-too-many"))).toBe("range-exhausted");
    expect(w.schedule.now() - before).toBeGreaterThanOrEqual(2_500);
    expect(w.schedule.now() - before).toBeLessThan(3_000);
  });

  it("is refused at once when nobody else can be asked", async () => {
    const w = await started(pair("10.32.0.0/29"));
    for (const name of ["alice", "bob"]) await fill(w, name);
    w.host("alice").kill();
    await w.run(20_000);
    const before = w.schedule.now();
    expect(await w.answer(w.host("bob").add("one-too-many"))).toBe("range-exhausted");
    expect(w.schedule.now() - before).toBeLessThan(100);
  });

  it("right behind a removal waits until the heir has taken the ranges, on any host", async () => {
    const hosts = ["alice", "bob", "carol"].map((name) => ({ name, targets: [A ?? "", addressOf(1)] }));
    const w = await started(new World({ seed: 3, universe: "10.32.0.0/28", peers: hosts }));
    const bob = w.host("bob");
    bob.loseDisk("bob", []);
    await w.run(20_000);
    for (const name of ["alice", "carol"]) await fill(w, name);
    const remove = { kind: "remove", peers: ["bob"] } as const;
    const removed = w.host("alice").runner?.request(remove) ?? Promise.reject(new Error("away"));
    expect(await w.answer(removed)).toMatchObject({ ok: true });
    const added = ["alice", "carol"].map((name) => w.host(name).add("behind"));
    for (const one of added) expect(await w.answer(one)).toBeUndefined();
  });
});

describe("allocation", () => {
  it("uses every address of a range two peers share, then refuses, then serves again", async () => {
    const w = await started(pair("10.32.0.0/28"));
    const [alice, bob] = [w.host("alice"), w.host("bob")];
    let given = 0;
    let refusal: string | undefined;
    while (refusal === undefined) {
      refusal = await w.answer(alice.add(`a${given}`));
      if (refusal === undefined) given++;
    }
    expect(refusal).toBe("range-exhausted");
    expect(given).toBe(14); // 16 less network and broadcast
    expect(await w.answer(bob.add("b0"))).toBe("range-exhausted");
    await w.answer(alice.remove("a3"));
    expect(await w.answer(alice.add("again"))).toBeUndefined(); // young, but nothing else is left
    await w.answer(alice.remove("a4"));
    await w.run(61_000);
    expect(await w.answer(bob.add("b1"))).toBeUndefined(); // rested, so it may be given away
  });

  it("gives a peer what has just been freed, when nobody has anything else", async () => {
    const w = new World({
      seed: 3,
      universe: "10.32.0.0/29",
      peers: [
        { name: "alice", targets: [] },
        { name: "bob", targets: [addressOf(0)] },
      ],
    });
    const [alice, bob] = [w.host("alice"), w.host("bob")];
    await alice.start();
    for (const c of ["1", "2", "3", "4", "5", "6"]) expect(await w.answer(alice.add(c))).toBeUndefined();
    await bob.start();
    await w.run(3_000);
    expect(await w.answer(bob.add("b"))).toBe("range-exhausted");
    for (const c of ["1", "2", "3"]) await w.answer(alice.remove(c));
    await w.run(2_000); // a denial is remembered for 1 s
    expect(await w.answer(bob.add("b"))).toBeUndefined();
  });

  it("is refused when the key holds an address already, and changes nothing", async () => {
    const w = await started(pair("10.32.0.0/24"));
    const alice = w.host("alice");
    await w.answer(alice.add("a"));
    const before = alice.containers.get("a");
    expect(await w.answer(alice.add("a"))).toBe("ifname-exists");
    expect(alice.containers.get("a")).toBe(before);
  });

  it("is the same when it is asked for again before it was committed", async () => {
    const w = await started(pair("10.32.0.0/24"));
    const key = { network: "weave", containerId: "c", ifname: "eth0" };
    const moment = { bootId: "b", bootMs: 1 };
    const ask = async () =>
      w.answer(w.hosts[0]?.runner?.request({ kind: "allocate", key, moment, terms: {} }) ?? Promise.reject());
    const first = await ask();
    expect(first).toMatchObject({ ok: true });
    expect(await ask()).toEqual(first);
    const pool = w.hosts[0]?.node?.facts().pools[0];
    expect(pool?.space.usedIn(pool.owned)).toBe(1);
  });

  it("gives exactly the address asked for, from another owner if need be, or says why not", async () => {
    const w = await started(pair("10.32.0.0/24"));
    const [alice, bob] = [w.host("alice"), w.host("bob")];
    const far =
      w
        .host("alice")
        .node?.config.universes[0]?.addressAt(bob.node?.facts().pools[0]?.owned[0]?.start ?? 0) ?? "";
    expect(await w.answer(alice.add("a", { addresses: [far] }))).toBeUndefined();
    expect(alice.containers.get("a")).toBe(`${far}/24`);
    expect(await w.answer(bob.add("b", { addresses: [far] }))).toBe("address-elsewhere");
    expect(await w.answer(alice.add("a2", { addresses: [far] }))).toBe("address-taken");
    expect(await w.answer(alice.add("a3", { addresses: ["192.168.1.1"] }))).toBe("bad-address");
    expect(await w.answer(alice.add("a4", { addresses: ["10.32.0.255"] }))).toBe("bad-address");
    expect(await w.answer(alice.add("a5", { subnet: "10.99.0.0/24" }))).toBe("bad-address");
    expect(await w.answer(alice.add("a6", { subnet: "10.32.0.0/30" }))).toBeUndefined();
    expect(alice.containers.get("a6")).toMatch(/^10\.32\.0\.[12]\/30$/);
  });

  it("never chooses what is to be avoided, not even as the last address", async () => {
    const w = await started(pair("10.32.0.0/29"));
    const alice = w.host("alice");
    const avoid = ["10.32.0.1", "10.32.0.3"];
    for (const c of ["1", "2", "3", "4"]) expect(await w.answer(alice.add(c, { avoid }))).toBeUndefined();
    expect(await w.answer(alice.add("5", { avoid }))).toBe("range-exhausted");
    const addresses = [...alice.containers.values()].sort();
    expect(addresses).toEqual(["10.32.0.2/29", "10.32.0.4/29", "10.32.0.5/29", "10.32.0.6/29"]);
    expect(await w.answer(alice.add("6"))).toBeUndefined();
  });

  it("refuses a second container with one MAC, which the bridge could not tell apart", async () => {
    const w = await started(pair("10.32.0.0/24"));
    const { runner } = w.host("alice");
    await w.answer(w.host("alice").add("a"));
    await w.answer(w.host("alice").add("b"));
    const [first, second] = w.host("alice").node?.attachments() ?? [];
    if (runner === undefined || first?.mac === undefined || second === undefined)
      throw new Error("not attached");
    const facts = { netns: "b", link: { mac: first.mac, hostIfname: "b", hairpin: true } };
    const reply = await w.answer(runner.request({ kind: "commit", key: second, facts }));
    expect(reply).toMatchObject({ ok: false, code: "address-taken" });
  });

  it("a release journalled before the key was used again frees nothing", async () => {
    const w = await started(pair("10.32.0.0/24"));
    const alice = w.host("alice");
    const key = { network: "weave", containerId: "a", ifname: "eth0" };
    await w.answer(alice.add("a"));
    const bootMs = w.schedule.now();
    const release = (before: { bootId: string; bootMs: number }) =>
      w.answer(alice.runner?.request({ kind: "release", key, before }) ?? Promise.reject(new Error("away")));
    await release({ bootId: "alice", bootMs: bootMs - 1_000_000 });
    expect(alice.node?.find(key)).toBeDefined();
    await release({ bootId: "another boot", bootMs: 1 });
    expect(alice.node?.find(key)).toBeUndefined();
  });

  it("a peer whose disk is lost comes back under another name, and its former self is removed", async () => {
    const w = await started(pair("10.32.0.0/24"));
    const [alice, bob] = [w.host("alice"), w.host("bob")];
    expect(await w.answer(bob.add("b"))).toBeUndefined();
    await w.run(1_000);
    const owners = () => new Set(alice.node?.facts().pools[0]?.ring?.ranges.map(({ owner }) => owner));
    bob.loseDisk("bob", [A ?? ""]);
    await bob.start();
    await w.run(30_000);
    expect(bob.peerName).toMatch(/^bob-[0-9a-f]{4}$/);
    expect(owners()).toEqual(new Set(["alice", "bob", bob.peerName])); // nobody has said yet that bob is gone
    const remove = { kind: "remove", peers: ["bob"], force: true } as const;
    const reply = await w.answer(alice.runner?.request(remove) ?? Promise.reject(new Error("away")));
    expect(reply).toMatchObject({ ok: true, decision: { heir: "alice", removed: ["bob"] } });
    await w.run(30_000);
    expect(owners()).toEqual(new Set(["alice", bob.peerName]));
    expect([...(alice.node?.endpoints().byAddress.values() ?? [])]).toEqual([]);
    expect(await w.answer(bob.add("again"))).toBeUndefined();
    await w.settle();
    await w.checkQuiet();
  });

  it("publishes after a restart what the allocations say, whatever the disk holds of endpoints", async () => {
    const w = await started(pair("10.32.0.0/24"));
    const alice = w.host("alice");
    await w.answer(alice.add("a"));
    alice.kill();
    const disk = createMemoryStore(alice.disk);
    const orphan = { addresses: ["10.32.0.99"], mac: "02:a0:00:00:00:63", label: "gone" };
    disk.write(
      [
        { type: "del", key: "entry/endpoints/alice/0" },
        { type: "put", key: "entry/endpoints/alice/7", value: { version: 50, value: orphan } },
      ],
      { sync: true },
    );
    disk.crash();
    await alice.start();
    await w.run(30_000);
    for (const { node } of w.hosts) {
      expect([...(node?.endpoints().byAddress.keys() ?? [])]).toEqual([
        alice.containers.get("a")?.split("/")[0],
      ]);
    }
  });
});
