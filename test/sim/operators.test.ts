// What operators of a simulated cluster do while it lives, beside what they break.
import { describe, expect, it } from "vitest";
import { Operators } from "./operators.ts";
import { addressOf, World } from "./world.ts";

const [A, B, C] = [addressOf(0), addressOf(1), addressOf(2)];

/** They look after the world for so long. */
async function watch(w: World, operators: Operators, minutes: number): Promise<void> {
  for (let i = 0; i < 6 * minutes; i++) {
    operators.act();
    await w.run(10_000);
  }
}

const clustersOf = (w: World): ReadonlySet<string | undefined> =>
  new Set(w.hosts.map(({ node }) => node?.cluster));

const membersOf = (w: World, name: string): readonly string[] =>
  [name, ...(w.host(name).node?.facts().council.others() ?? [])].sort();

/** Three hosts, each with a container; the disks of two of the three voters burn, and they are launched with new names. */
async function twoOfThreeBurnt(): Promise<World> {
  const peers = ["alice", "bob", "carol"].map((name) => ({ name, targets: [A, B, C] }));
  const w = new World({ seed: 1, peers, universe: "10.32.0.0/24" });
  await w.startAll();
  await w.run(30_000);
  for (const host of w.hosts) expect(await w.answer(host.add(`c-${host.id}`))).toBeUndefined();
  for (const name of ["bob", "carol"]) w.host(name).loseDisk(`${name}.2`, [A]);
  return w;
}

describe("operators of a living cluster", () => {
  it("force what no quorum can decide any more", async () => {
    const w = await twoOfThreeBurnt();
    for (const name of ["bob", "carol"]) await w.host(name).start();
    await watch(w, new Operators(w), 3);
    expect(w.decrees.forced).toBe(1);
    expect(clustersOf(w).size).toBe(1);
    for (const { id } of w.hosts) expect(membersOf(w, id === "alice" ? id : "alice")).not.toContain("bob");
    await w.settle();
    await w.checkQuiet();
  });

  it("force nothing while the voters are only down", async () => {
    const peers = ["alice", "bob", "carol"].map((name) => ({ name, targets: [A, B, C] }));
    const w = new World({ seed: 1, peers, universe: "10.32.0.0/24" });
    await w.startAll();
    await w.run(30_000);
    for (const name of ["bob", "carol"]) w.host(name).kill();
    await watch(w, new Operators(w), 3);
    expect(w.decrees.forced).toBe(0);
    expect(membersOf(w, "alice")).toEqual(["alice", "bob", "carol"]);
  });

  it("bring two islands together, and keep their containers", async () => {
    const peers = ["alice", "bob", "carol"].map((name, i) => ({ name, targets: i === 2 ? [B] : [] }));
    const w = new World({ seed: 2, peers, universe: "10.32.0.0/24" });
    await w.startAll();
    await w.run(10_000);
    for (const host of w.hosts) expect(await w.answer(host.add(`c-${host.id}`))).toBeUndefined();
    expect(clustersOf(w).size).toBe(2);
    await watch(w, new Operators(w), 4);
    expect(clustersOf(w).size).toBe(1);
    for (const host of w.hosts) expect(host.containerCount).toBe(1);
    await w.settle();
    await w.checkQuiet();
  });

  it("delete the containers of a host before it leaves", async () => {
    const peers = [
      { name: "alice", targets: [B] },
      { name: "bob", targets: [A] },
    ];
    const w = new World({ seed: 3, peers, universe: "10.32.0.0/28" });
    await w.startAll();
    await w.run(5_000);
    for (const host of w.hosts)
      for (let i = 0; i < 3; i++) expect(await w.answer(host.add(`c${i}-${host.id}`))).toBeUndefined();
    new Operators(w).leave();
    await w.run(100);
    const stays = w.hosts.find(({ containerCount }) => containerCount === 3);
    if (stays === undefined) throw new Error("both leave");
    // Of the addresses of the other some are given out again: the witness watches.
    for (let i = 0; i < 14; i++) await w.answer(stays.add(`more${i}`));
    expect(stays.containerCount).toBeGreaterThan(10);
    expect(w.measures.leavings).toBe(1);
  });

  it("ask again until a burnt host is removed", async () => {
    const peers = ["alice", "bob", "carol"].map((name) => ({ name, targets: [A, B, C] }));
    const w = new World({ seed: 5, peers, universe: "10.32.0.0/24" });
    await w.startAll();
    await w.run(30_000);
    const operators = new Operators(w);
    operators.burn();
    const burnt = w.hosts.find(({ lostNames }) => lostNames.length > 0);
    const former = burnt?.lostNames[0] ?? "";
    const others = w.hosts.filter((host) => host !== burnt);
    w.network.partition(others.map(({ options }) => [options.address])); // nobody has a quorum
    await watch(w, operators, 20);
    expect(membersOf(w, others[0]?.id ?? "")).toContain(former);
    w.heal();
    await watch(w, operators, 3);
    for (const { id } of others) expect(membersOf(w, id)).not.toContain(former);
    expect(w.decrees.forced).toBe(0);
  });
});
