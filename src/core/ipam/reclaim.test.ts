import { describe, expect, it } from "vitest";
import { Universe } from "../address/universe.ts";
import type { Effect } from "../effects.ts";
import { ASK_TIMEOUT_MS, Pool } from "./pool.ts";
import {
  DENIED_PAUSE_MS,
  FIRST_RECLAIM_ID,
  LOST_RETRY_MS,
  MAX_RECLAIMS,
  Reclaim,
  type ReclaimAsk,
} from "./reclaim.ts";
import type { OwnedRange } from "./ring.ts";

/** Alice, who began anew in a ring of bob (0-128) and carol (128-256), and has containers at the given offsets. */
class Alice {
  readonly pool: Pool;
  readonly reclaim: Reclaim;
  readonly log: string[] = [];
  asks: { readonly to: string; readonly body: ReclaimAsk }[] = [];
  reachable: ReadonlySet<string> = new Set(["bob", "carol"]);
  stale: readonly string[] = [];
  readonly #out: Effect[] = [];

  constructor(...offsets: number[]) {
    const universe = Universe.parse("10.0.0.0/24");
    if (typeof universe === "string") throw new Error(universe);
    this.pool = new Pool(universe, "alice");
    for (const offset of offsets) this.pool.space.hold(offset, `container ${offset}`);
    const former = offsets.map((offset) => ({
      universe: 0,
      offset,
      address: universe.addressAt(offset),
      holder: `container ${offset}`,
      isBridge: false,
    }));
    this.reclaim = new Reclaim({
      self: "alice",
      pools: [this.pool],
      reachable: () => this.reachable,
      isStale: ({ owner }) => this.stale.includes(owner),
      ask: (to, body) => this.asks.push({ to, body }),
      regained: ({ address }) => this.log.push(`regained ${address}`),
      lost: ({ address }, by) => this.log.push(`lost ${address} to ${by}`),
    });
    this.reclaim.add(former);
  }

  joins(): this {
    this.pool.found(["bob", "carol"]);
    return this;
  }

  hear(range: Partial<OwnedRange>): this {
    this.pool.hear([{ start: 0, end: 256, owner: "alice", version: 2, made: 1, ...range }]);
    return this;
  }

  tick(now = 0): this {
    this.reclaim.tick(now, this.#out);
    return this;
  }

  /** The last question is answered, without a gift or with one. */
  answer(given: boolean, now = 0): this {
    const last = this.asks.at(-1);
    if (last === undefined) throw new Error("nobody was asked");
    const { start, end, id } = last.body;
    if (given) this.hear({ start, end, version: 5 });
    expect(this.reclaim.answered(last.to, id, now, this.#out)).toBe(true);
    return this;
  }

  asked(): string {
    const text = this.asks.map(({ to, body }) => `${to} ${body.start}`).join();
    this.asks = [];
    return text;
  }
}

describe("an address from before", () => {
  it("is asked of its owner, alone, and is ours with the gift", () => {
    const alice = new Alice(5, 200).joins().tick();
    expect(alice.asks.map(({ to, body }) => [to, body])).toEqual([
      ["bob", { k: "ask", universe: 0, start: 5, end: 6, id: FIRST_RECLAIM_ID, held: true }],
      ["carol", { k: "ask", universe: 0, start: 200, end: 201, id: FIRST_RECLAIM_ID + 1, held: true }],
    ]);
    alice.answer(true);
    expect(alice.log).toEqual(["regained 10.0.0.200"]);
    expect([alice.reclaim.size, alice.pool.space.holderOf(200)]).toEqual([1, "container 200"]);
  });

  it("waits for a ring, for its owner, and for the heir", () => {
    const alice = new Alice(5).tick();
    alice.joins();
    alice.reachable = new Set(["carol"]);
    alice.stale = ["bob"];
    alice.tick(1);
    alice.reachable = new Set(["carol", "bob"]);
    alice.tick(2);
    expect([alice.asked(), alice.reclaim.nextDeadline()]).toEqual(["", undefined]);
    alice.hear({ end: 128, owner: "carol" }).tick(3);
    expect(alice.asked()).toBe("carol 5");
  });

  it("is ours without a question when it lies in space we were given", () => {
    const alice = new Alice(5).joins().hear({ end: 64 }).tick();
    expect([alice.log, alice.asked()]).toEqual([["regained 10.0.0.5"], ""]);
  });

  it("is asked for again when no answer comes", () => {
    const alice = new Alice(5).joins().tick();
    expect(alice.reclaim.nextDeadline()).toBe(ASK_TIMEOUT_MS);
    alice.tick(ASK_TIMEOUT_MS - 1);
    expect(alice.asked()).toBe("bob 5");
    alice.tick(ASK_TIMEOUT_MS);
    expect(alice.asked()).toBe("bob 5");
  });

  it("is lost when its owner denies it twice, is told once, and asked for each minute", () => {
    const alice = new Alice(5).joins().tick().answer(false);
    expect([alice.log, alice.reclaim.lost()]).toEqual([[], []]);
    alice.tick(DENIED_PAUSE_MS).answer(false, DENIED_PAUSE_MS);
    expect(alice.log).toEqual(["lost 10.0.0.5 to bob"]);
    expect(alice.reclaim.lost()).toEqual([
      { universe: 0, offset: 5, address: "10.0.0.5", holder: "container 5", isBridge: false, by: "bob" },
    ]);
    alice.asked();
    const later = DENIED_PAUSE_MS + LOST_RETRY_MS;
    expect(alice.reclaim.nextDeadline()).toBe(later);
    alice.tick(later - 1);
    expect(alice.asked()).toBe("");
    alice.tick(later).answer(false, later);
    expect(alice.log).toHaveLength(1);
    alice.tick(later + LOST_RETRY_MS).answer(true, later + LOST_RETRY_MS);
    expect(alice.log.at(-1)).toBe("regained 10.0.0.5");
    expect([alice.reclaim.lost(), alice.reclaim.nextDeadline()]).toEqual([[], undefined]);
  });

  it("is asked of the next owner at once, whatever the last one said or did not say", () => {
    const silent = new Alice(5).joins().tick();
    silent.hear({ start: 4, end: 8, owner: "carol" }).tick(1);
    expect(silent.asked()).toBe("bob 5,carol 5");
    const denied = new Alice(5).joins().tick().answer(false);
    denied.hear({ start: 4, end: 8, owner: "carol" }).tick(1);
    expect(denied.asked()).toBe("bob 5,carol 5");
  });

  it("is not lost when a former owner denies it, and the next one once", () => {
    const alice = new Alice(5).joins().tick();
    alice.hear({ start: 4, end: 8, owner: "carol" }).answer(false, 1);
    expect(alice.asks.map(({ to }) => to)).toEqual(["bob", "carol"]);
    alice.answer(false, 2);
    expect(alice.log).toEqual([]);
  });

  it("is named when another container here has it by right", () => {
    const alice = new Alice(5).joins();
    alice.pool.space.hold(5, "another");
    alice.hear({ end: 64 }).tick();
    expect(alice.log).toEqual(["lost 10.0.0.5 to alice"]);
    alice.pool.space.unhold(5);
    alice.tick(LOST_RETRY_MS);
    expect(alice.log.at(-1)).toBe("regained 10.0.0.5");
  });

  it("is forgotten with its container", () => {
    const alice = new Alice(5).joins();
    alice.reclaim.forget(0, 5);
    alice.tick();
    expect([alice.reclaim.size, alice.asked()]).toEqual([0, ""]);
  });
});

describe("many of them", () => {
  it("are asked for a few at a time, and all in the end", () => {
    const alice = new Alice(...Array.from({ length: 100 }, (_, i) => i + 1)).joins().tick();
    expect(alice.asks).toHaveLength(MAX_RECLAIMS);
    while (alice.asks.length > 0) {
      alice.answer(true);
      alice.asks = alice.asks.filter(({ body }) => alice.pool.ring?.ownerOf(body.start) !== "alice");
      expect(alice.asks.length).toBeLessThanOrEqual(MAX_RECLAIMS);
    }
    expect([alice.reclaim.size, alice.log.length]).toEqual([0, 100]);
  });

  it("leave answers to other questions alone", () => {
    const alice = new Alice(5).joins().tick();
    expect(alice.reclaim.answered("bob", 1, 0, [])).toBe(false);
    expect(alice.reclaim.answered("zoe", FIRST_RECLAIM_ID, 0, [])).toBe(true);
    expect(alice.reclaim.nextDeadline()).toBe(ASK_TIMEOUT_MS);
  });
});
