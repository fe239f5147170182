import { describe, expect, it } from "vitest";
import type { PathTarget } from "../../core/datapath/paths.ts";
import { seededRandom } from "../../core/random.ts";
import type { Echo } from "../../ports/echo.ts";
import { PathMonitor } from "./monitor.ts";

const to = (peer: string, changes: Partial<PathTarget> = {}): PathTarget => ({
  ...{ peer, underlay: "192.0.2.2", mtu: 1450, address: `fe80::${peer}` },
  ...changes,
});

/** Time passes, and what the way does to each echo is told at once: its round trip, "lost", or why it was not sent. */
function rig(targets: readonly PathTarget[], way: (echo: Echo, now: number) => number | "lost" | string) {
  const monitor = new PathMonitor(seededRandom(7));
  const sent: (Echo & { at: number })[] = [];
  let now = 1_000_000;
  monitor.follow(targets, now);
  return {
    monitor,
    sent,
    now: () => now,
    state: (peer: string) => monitor.states().get(peer),
    /** Every deadline until then is met, `lateMs` late. */
    run(ms: number, lateMs = 0): void {
      const end = now + ms;
      for (;;) {
        const due = monitor.nextDeadline();
        if (due === undefined || due > end) break;
        now = Math.max(now, due) + lateMs;
        for (const echo of monitor.tick(now)) {
          sent.push({ ...echo, at: now });
          const fate = way(echo, now);
          if (typeof fate === "number") monitor.answered(echo.id, fate, now);
          else if (fate !== "lost") monitor.refused(echo.id, fate, now);
        }
      }
      now = Math.max(now, end);
    },
    until(holds: () => boolean, withinMs: number): number {
      const from = now;
      while (!holds()) {
        if (now - from > withinMs)
          throw new Error(`not within ${withinMs} ms: ${JSON.stringify(monitor.states())}`);
        this.run(50);
      }
      return now - from;
    },
  };
}

describe("PathMonitor", () => {
  it("verifies a good path within a second by one full-size echo, and asks every few seconds from then on", () => {
    const { sent, state, run } = rig([to("b")], () => 0.4);
    run(1_000);
    expect(state("b")).toMatchObject({ verified: "yes", mtu: 1450, rttMs: 0.4 });
    run(60_000);
    expect(sent.every(({ bytes, address }) => bytes === 1450 && address === "fe80::b")).toBe(true);
    expect(sent.length).toBeGreaterThan(12);
    expect(sent.length).toBeLessThan(20);
  });

  it("tells within 8 seconds that large packets are dropped, and what passes; and when it is mended", () => {
    let carries = 1450;
    const one = rig([to("b")], ({ bytes }) => (bytes <= carries ? 0.4 : "lost"));
    one.run(20_000);
    carries = 1371;
    expect(one.until(() => one.state("b")?.verified === "no", 8_000)).toBeGreaterThan(1_900);
    expect(one.state("b")).toMatchObject({ fault: "drops-large" });
    const { since } = one.state("b") ?? {};
    one.run(15_000);
    const passes = one.state("b")?.passes ?? 0;
    expect(passes).toBeLessThanOrEqual(1371);
    expect(passes).toBeGreaterThan(1371 - 9);
    expect(one.state("b")?.since).toBe(since);
    // Worse yet: what was found before is not told any more.
    carries = 1000;
    one.run(30_000);
    expect(one.state("b")?.passes).toBeLessThanOrEqual(1000);
    carries = 1450;
    one.until(() => one.state("b")?.verified === "yes", 4_000);
    expect(one.state("b")).not.toHaveProperty("fault");
  });

  it("tells a path that carries nothing from one that carries small packets", () => {
    const one = rig([to("b")], () => "lost");
    one.until(() => one.state("b")?.verified === "no", 8_000);
    expect(one.state("b")).toMatchObject({ fault: "no-answer" });
    expect(one.state("b")).not.toHaveProperty("passes");
    expect(one.sent.map(({ bytes }) => bytes).slice(0, 5)).toEqual([1450, 1450, 128, 1450, 128]);
  });

  it("lost echoes now and then, two in a row too, are no fault", () => {
    let count = 0;
    const one = rig([to("b")], ({ bytes }) => (bytes === 1450 && ++count % 3 !== 0 ? "lost" : 0.4));
    one.run(1_000);
    for (let i = 0; i < 100; i++) {
      one.run(1_000);
      expect(one.state("b")?.verified).not.toBe("no");
    }
  });

  it("a process that woke late judges nothing by the answers it has not read", () => {
    const one = rig([to("b")], () => "lost");
    one.run(120_000, 1_500);
    expect(one.state("b")?.verified).toBe("unverified");
  });

  it("an echo that could not be sent says nothing of the path, but why", () => {
    let why: string | number = 0.4;
    const one = rig([to("b")], () => why);
    one.run(5_000);
    why = "Message too long";
    one.run(10_000);
    expect(one.state("b")).toMatchObject({
      verified: "unverified",
      reason: "the echo could not be sent: Message too long",
    });
    why = 0.4;
    one.run(3_000);
    expect(one.state("b")?.verified).toBe("yes");
  });

  it("nobody to ask is told, and asked nobody", () => {
    const one = rig([{ peer: "b", underlay: "192.0.2.2", mtu: 1200, lacking: "no IPv6" }], () => 1);
    one.run(60_000);
    expect([one.sent, one.state("b")]).toMatchObject([[], { verified: "unverified", reason: "no IPv6" }]);
    expect(one.monitor.nextDeadline()).toBeUndefined();
  });

  it("another MTU is judged anew, another peer's verdict stays; who is gone is forgotten", () => {
    const one = rig([to("b"), to("c"), to("d")], () => 0.4);
    one.run(5_000);
    one.monitor.follow([to("b", { mtu: 1350 }), to("c")], one.now());
    expect([...one.monitor.states()].map(([peer, { verified }]) => [peer, verified])).toEqual(
      [
        ["b", "unverified"],
        ["c", "yes"],
      ].sort(),
    );
    one.run(1_000);
    expect(one.sent.at(-1)).toMatchObject({ bytes: 1350 });
    expect(one.state("b")).toMatchObject({ verified: "yes", mtu: 1350 });
  });

  it("an answer to an echo of before does not count", () => {
    const monitor = new PathMonitor(seededRandom(1));
    monitor.follow([to("b")], 0);
    const [old] = monitor.tick(monitor.nextDeadline() ?? 0);
    monitor.follow([to("b", { mtu: 1350 })], 700);
    monitor.answered(old?.id ?? 0, 1, 800);
    expect(monitor.states().get("b")?.verified).toBe("unverified");
  });

  it("a thousand peers cost 20 rounds a second at most, and each has its turn", () => {
    const targets = Array.from({ length: 1_000 }, (_, i) => to(i.toString(16)));
    const one = rig(targets, () => 0.4);
    one.run(60_000);
    expect(one.sent.length).toBeLessThanOrEqual(60 * 20 + 1);
    expect([...one.monitor.states().values()].every(({ verified }) => verified === "yes")).toBe(true);
    const last = new Map(one.sent.map(({ address, at }) => [address, at]));
    one.run(60_000);
    expect(new Set(one.sent.filter(({ at }) => at > one.now() - 55_000).map((e) => e.address)).size).toBe(
      1_000,
    );
    expect(last.size).toBe(1_000);
  });
});
