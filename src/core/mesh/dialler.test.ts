import { describe, expect, it } from "vitest";
import type { Effect } from "../effects.ts";
import { seededRandom } from "../random.ts";
import { DIAL_BACKOFF_MAX_MS, DIAL_TURN_MS, MAX_FOUND_DIALS } from "./constants.ts";
import { Dialler, type Sought } from "./dialler.ts";

const HOUR_MS = 3_600_000;

/** The dialler of a host "m", between "a" and "z". */
function rig(needless: (peer: string | undefined) => boolean = () => false) {
  const dialler = new Dialler({
    self: "m",
    random: seededRandom(3),
    discovery: true,
    isNeedless: ({ peer }) => needless(peer),
  });
  const dials = (now: number): { dial: number; target: string }[] => {
    const out: Effect[] = [];
    dialler.tick(now, out);
    return out.flatMap((e) => (e.type === "dial" ? [{ dial: e.dial, target: e.target }] : []));
  };
  return { dialler, dials };
}
const at = (name: string, urgent = false): Sought => ({ name, address: `${name}.example`, urgent });
const all = (): boolean => true;

describe("found peers", () => {
  it("are dialled by the lesser name at once, by the greater one a little later", () => {
    const { dialler, dials } = rig();
    dialler.seek([at("a"), at("z")], all, 0);
    expect(dials(DIAL_TURN_MS / 2).map(({ target }) => target)).toEqual(["z.example"]);
    expect(dialler.nextDeadline()).toBeGreaterThanOrEqual(DIAL_TURN_MS);
    expect(dials(2 * DIAL_TURN_MS).map(({ target }) => target)).toEqual(["a.example"]);
  });

  it("are not dialled while they need not be, nor when gossip tells of them no more", () => {
    const linked = new Set(["z"]);
    const { dialler, dials } = rig((peer) => linked.has(peer ?? ""));
    dialler.seek([at("y"), at("z")], all, 0);
    dialler.seek([at("z")], all, 10);
    expect(dialler.found().map(({ peer }) => peer)).toEqual(["z"]);
    expect([dials(HOUR_MS), dialler.nextDeadline()]).toEqual([[], undefined]);
    linked.clear();
    expect(dials(HOUR_MS)).toHaveLength(1);
  });

  it("are dialled a few at a time, first those there is no path to", () => {
    const { dialler, dials } = rig();
    const many = Array.from({ length: 40 }, (_, i) => at(`z${i}`, i >= 30));
    dialler.seek(many, all, 0);
    const first = dials(HOUR_MS);
    expect(first).toHaveLength(MAX_FOUND_DIALS);
    expect(first.slice(0, 10).map(({ target }) => target)).toEqual(
      many.slice(30).map(({ address }) => address),
    );
    expect([dials(HOUR_MS), dialler.nextDeadline()]).toEqual([[], undefined]);
    dialler.dialFailed(first[0]?.dial ?? 0, "refused", HOUR_MS);
    expect(dialler.nextDeadline()).toBeLessThanOrEqual(HOUR_MS);
    expect(dials(HOUR_MS)).toHaveLength(1);
  });

  it("keep their pause while they are not wanted, and lose it with another address", () => {
    const { dialler, dials } = rig();
    dialler.seek([at("z")], all, 0);
    for (let now = 1_000; now < HOUR_MS; now = (dialler.nextDeadline() ?? HOUR_MS) + 1)
      dialler.dialFailed(dials(now)[0]?.dial ?? 0, "refused", now);
    const due = dialler.nextDeadline() ?? 0;
    dialler.seek([], all, HOUR_MS);
    expect(dialler.nextDeadline()).toBeUndefined();
    dialler.seek([at("z")], all, HOUR_MS);
    expect(dialler.nextDeadline()).toBe(due);
    dialler.seek([{ ...at("z"), address: "elsewhere" }], all, HOUR_MS);
    expect(dials(HOUR_MS + 1_000)).toMatchObject([{ target: "elsewhere" }]);
  });

  it("are forgotten when nobody knows them any more", () => {
    const { dialler, dials } = rig();
    dialler.seek([at("z")], all, 0);
    dialler.dialFailed(dials(1_000)[0]?.dial ?? 0, "refused", 1_000);
    dialler.seek([], () => false, 2_000);
    expect(dialler.found()).toEqual([]);
  });
});

describe("a pause", () => {
  it("grows to six minutes, half to one and a half times as long", () => {
    const { dialler, dials } = rig();
    dialler.setGiven(["bob"], true, 0);
    let now = 0;
    const pauses: number[] = [];
    for (let failures = 0; failures < 40; failures++) {
      dialler.dialFailed(dials(now)[0]?.dial ?? 0, "refused", now);
      const next = dialler.nextDeadline() ?? 0;
      pauses.push(next - now);
      now = next;
    }
    expect(Math.max(...pauses)).toBeGreaterThan(DIAL_BACKOFF_MAX_MS);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1.5 * DIAL_BACKOFF_MAX_MS);
    expect(Math.min(...pauses.slice(20))).toBeGreaterThanOrEqual(0.5 * DIAL_BACKOFF_MAX_MS);
  });

  const failing = (code: string) => {
    const { dialler, dials } = rig();
    dialler.setGiven(["bob.example"], true, 0);
    dials(0);
    const [target] = dialler.given();
    if (target === undefined) throw new Error("no target");
    target.peer = "bob";
    for (let i = 0; i < 20; i++) dialler.failed(target, { code, message: "" }, 0);
    return { dialler, due: (): number => dialler.nextDeadline() ?? Number.POSITIVE_INFINITY };
  };

  it("ends when gossip tells that there is a path to that peer again", () => {
    const { dialler, due } = failing("dial-failed");
    dialler.cameBack("carol", 1_000);
    expect(due()).toBeGreaterThan(DIAL_BACKOFF_MAX_MS / 2);
    dialler.cameBack("bob", 1_000);
    expect(due()).toBeLessThan(2_001);
  });

  it("of a peer that was found ends then, too, a little later: it goes first", () => {
    const { dialler, dials } = rig();
    dialler.seek([at("z", true)], all, 0);
    dials(1_000);
    const [target] = dialler.found();
    if (target === undefined) throw new Error("not found");
    for (let i = 0; i < 20; i++) dialler.failed(target, { code: "dial-failed", message: "" }, 1_000);
    dialler.cameBack("z", 10_000);
    expect(dials(10_000 + DIAL_TURN_MS - 1)).toEqual([]);
    expect(dials(10_000 + 2 * DIAL_TURN_MS)).toHaveLength(1);
  });

  it.each([
    ["dial-failed", true],
    ["silent", true],
    ["address-gone", true],
    ["clone", false],
    ["full", false],
  ])("after %s ends when the network is another: %s", (code, ends) => {
    const { dialler, due } = failing(code);
    dialler.retryAll(1_000);
    expect(due() < 2_001).toBe(ends);
  });
});
