// A host that was about to leave, gave its ranges away, and stayed: what it gave away is another's, and its containers run on.
import { describe, expect, it } from "vitest";
import { addressOf, World } from "./world.ts";

const [A, B] = [addressOf(0), addressOf(1)];

/** Alice with a container; she has given everything to bob, who has not said that he has it. */
async function givenUnconfirmed(seed: number): Promise<{ w: World; reply: Promise<unknown>; bare: string }> {
  const peers = [
    { name: "alice", targets: [] },
    { name: "bob", targets: [A] },
  ];
  const w = new World({ seed, peers, universe: "10.32.0.0/28" });
  await w.startAll();
  await w.run(5_000);
  expect(await w.answer(w.host("alice").add("a1"))).toBeUndefined();
  await w.run(5_000);
  const reply = w.host("alice").runner?.request({ kind: "leave" }) ?? Promise.resolve();
  const owned = (): number => w.host("alice").node?.facts().pools[0]?.owned.length ?? 0;
  for (let i = 0; i < 1_000 && owned() > 0; i++) await w.run(1);
  expect(owned()).toBe(0);
  w.network.partition([[A], [B]]);
  return { w, reply, bare: (w.host("alice").containers.get("a1") ?? "").split("/")[0] ?? "" };
}

/** Bob takes all there is; none of it may be alice's. */
async function bobTakesAll(w: World): Promise<void> {
  for (let i = 0; i < 16; i++) await w.answer(w.host("bob").add(`b${i}`)); // the witness watches
}

describe("a host whose ranges were given, and that stays", () => {
  it.each([1, 2, 3])("keeps the addresses of its containers, and asks for them (seed %i)", async (seed) => {
    const { w, reply, bare } = await givenUnconfirmed(seed);
    expect(await w.answer(reply)).toMatchObject({ ok: false, code: "no-heir" });
    w.network.heal();
    await w.run(20_000);
    expect(w.host("bob").disk.record(`doubtful/${bare}`)).toBe(true);
    const pool = w.host("alice").node?.facts().pools[0];
    expect(pool?.ring?.ownerOf(pool.universe.offsetOf(bare) ?? -1)).toBe("alice");
    expect(w.host("alice").node?.facts().lost).toEqual([]);
    await bobTakesAll(w);
    await w.settle();
    await w.checkQuiet();
  });

  it("does so after it crashed in the midst of it; the taker learns of the gift by gossip alone", async () => {
    const { w, bare } = await givenUnconfirmed(4);
    w.host("alice").kill();
    await w.run(60_000);
    w.network.heal();
    await w.host("alice").start();
    await w.run(60_000);
    expect(w.host("bob").disk.record(`doubtful/${bare}`)).toBe(true);
    const pool = w.host("alice").node?.facts().pools[0];
    expect(pool?.ring?.ownerOf(pool.universe.offsetOf(bare) ?? -1)).toBe("alice");
    await bobTakesAll(w);
    await w.settle();
    await w.checkQuiet();
  });

  it("asks no more for what was released meanwhile", async () => {
    const { w, reply } = await givenUnconfirmed(5);
    await w.answer(reply);
    await w.host("alice").remove("a1");
    w.network.heal();
    await w.run(60_000);
    expect(w.host("alice").node?.facts().lost).toEqual([]);
    await w.settle();
    await w.checkQuiet();
  });
});
