// Every invariant of the simulator sees the bug that breaks it. A check that never fails checks nothing.
import { describe, expect, it } from "vitest";
import { FAULTS } from "./faults.ts";
import { Life } from "./life.ts";
import { BUGS, type Bug } from "./sabotage.ts";
import { addressOf, Violation, World } from "./world.ts";

/** Lives of which one must give the bug away. */
const SEEDS = [1, 2, 3, 4, 5];

/** What the checks said, if they said something. */
async function violationOf(run: () => Promise<void>): Promise<string> {
  try {
    await run();
    return "";
  } catch (error) {
    if (error instanceof Violation) return error.what;
    throw error;
  }
}

const live = (seed: number, bug?: Bug): Promise<string> =>
  violationOf(() =>
    new Life({
      seed,
      peers: 10,
      minutes: 4,
      operations: 600,
      universe: "10.32.0.0/22",
      faults: new Set(FAULTS),
      ...(bug === undefined ? {} : { bug }),
    }).run(),
  );

/** Five hosts; two of them are cut off, and one gives the other an address before the three others decide that it is gone. */
async function giftBeyondPartition(bug?: Bug, seed = 3): Promise<void> {
  const names = ["alice", "bob", "carol", "dave", "erin"];
  const targets = names.map((_, i) => addressOf(i));
  const w = new World({
    seed,
    peers: names.map((name) => ({ name, targets })),
    universe: "10.32.0.0/24",
    ...(bug === undefined ? {} : { bug: { bug } }),
  });
  await w.startAll();
  await w.run(30_000);
  const [alice, dave, erin] = [w.host("alice"), w.host("dave"), w.host("erin")];
  w.network.partition([targets.slice(0, 3), targets.slice(3)]);
  await w.run(60_000);
  const universe = erin.node?.config.universes[0];
  const wanted = universe?.addressAt(erin.node?.facts().pools[0]?.owned[0]?.start ?? 0) ?? "";
  expect(await w.answer(dave.add("claims", { addresses: [wanted] }))).toBeUndefined();
  const remove = { kind: "remove", peers: ["erin"] } as const;
  expect(await w.answer(alice.runner?.request(remove) ?? Promise.reject())).toMatchObject({ ok: true });
  await w.run(10_000);
  await w.settle();
  await w.checkQuiet();
}

/** Three hosts; one is removed while it is away, returns, and its container's address is still free. */
async function removedAndBack(bug?: Bug): Promise<void> {
  const targets = [0, 1, 2].map(addressOf);
  const w = new World({
    seed: 3,
    peers: ["alice", "bob", "carol"].map((name) => ({ name, targets })),
    universe: "10.32.0.0/24",
    ...(bug === undefined ? {} : { bug: { bug } }),
  });
  await w.startAll();
  await w.run(30_000);
  expect(await w.answer(w.host("carol").add("runs-on"))).toBeUndefined();
  w.network.partition([targets.slice(0, 2), targets.slice(2)]);
  await w.run(60_000);
  const remove = { kind: "remove", peers: ["carol"] } as const;
  const asked = w.host("alice").runner?.request(remove) ?? Promise.reject();
  expect(await w.answer(asked)).toMatchObject({ ok: true });
  await w.settle();
  await w.checkQuiet();
}

const SCENARIOS = { "takes-unasked": giftBeyondPartition, "does-not-reclaim": removedAndBack } as const;

const isBug = (name: string): name is Bug => name in BUGS;

describe("a seeded bug is caught:", () => {
  const bugs = Object.entries(BUGS).flatMap(([bug, what]) =>
    isBug(bug) && !(bug in SCENARIOS) ? [{ bug, what }] : [],
  );
  it.each(bugs)("$bug", async ({ bug, what }) => {
    const said: string[] = [];
    for (const seed of SEEDS) {
      said.push(await live(seed, bug));
      if (said.at(-1)?.includes(what)) return;
    }
    expect(said.join("\n")).toContain(what);
  });

  it("takes-unasked", async () => {
    const said: string[] = [];
    // Where gossip brings what was not asked for in time, nothing is wrong.
    for (const seed of SEEDS) said.push(await violationOf(() => giftBeyondPartition("takes-unasked", seed)));
    expect(said.join("\n")).toContain(BUGS["takes-unasked"]);
  });

  it("does-not-reclaim", async () => {
    expect(await violationOf(() => removedAndBack("does-not-reclaim"))).toContain(BUGS["does-not-reclaim"]);
  });

  it("and without one nothing is", async () => {
    for (const scenario of Object.values(SCENARIOS)) expect(await violationOf(() => scenario())).toBe("");
    expect(await live(1)).toBe("");
  });
});
