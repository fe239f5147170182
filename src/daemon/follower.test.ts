import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { plan } from "../core/datapath/plan.ts";
import type { DatapathState } from "../core/datapath/state.ts";
import type { DatapathReport, Kernel } from "../ports/kernel.ts";
import { DatapathFollower } from "./follower.ts";

const wish = (bridgeName: string): DatapathState =>
  plan({
    self: "alice",
    bridgeName,
    bridgeMac: "02:b0:00:00:00:0a",
    vxlanName: "vxlan",
    vni: 1,
    vxlanPort: 1,
    controlPort: 6783,
    underlay: "192.0.2.1",
    mtu: 1450,
    universes: [],
    ports: [],
    here: new Map(),
    portMaps: [],
    masquerade: [],
    exempt: [],
    exposed: [],
    peers: new Map(),
    endpoints: new Map(),
    prune: true,
  });

const fine: DatapathReport = { changes: [], failures: [] };
const failing = (...objects: string[]): DatapathReport => ({
  changes: [],
  failures: objects.map((object) => ({ object, message: "EPERM" })),
});

/** A follower of a kernel that answers when told; `wanted` is what the core wants now. */
function rig() {
  const asked: string[] = [];
  const answers: { resolve: (report: DatapathReport) => void; reject: (error: unknown) => void }[] = [];
  const warnings: string[] = [];
  const observe = vi.fn(async () => {});
  const drift: { listener: (objects: readonly string[]) => void } = { listener: () => {} };
  const unused = (): never => {
    throw new Error("not for the follower");
  };
  const kernel: Kernel = {
    apply: (state) =>
      new Promise((resolve, reject) => {
        asked.push(state.bridge.name);
        answers.push({ resolve, reject });
      }),
    observe,
    watch: async (listener) => {
      drift.listener = listener;
    },
    inspect: unused,
    linkMtu: unused,
    faults: unused,
    shapingFaults: unused,
    shape: unused,
    openNetns: unused,
    closeNetns: unused,
    attach: unused,
    detach: unused,
    look: unused,
    hostEnds: unused,
    clear: unused,
    deadNetns: unused,
    close: unused,
  };
  const core = { wanted: "one" };
  const silent = (): void => {};
  const follower = new DatapathFollower(kernel, () => wish(core.wanted), {
    debug: silent,
    info: silent,
    error: silent,
    warn: (message, data) => warnings.push(`${message} ${data?.["object"] ?? ""}`),
  });
  /** The kernel ends the oldest apply it has. */
  const answer = async (report: DatapathReport | Error): Promise<void> => {
    const next = answers.shift();
    if (report instanceof Error) next?.reject(report);
    else next?.resolve(report);
    await vi.advanceTimersByTimeAsync(0);
  };
  const change = async (wanted: string): Promise<void> => {
    core.wanted = wanted;
    follower.changed();
    await vi.advanceTimersByTimeAsync(0);
  };
  const drifted = (...objects: string[]): void => drift.listener(objects);
  return { follower, asked, warnings, observe, answer, change, core, drifted };
}

/** A fake immediate that is asked for by a fake timer comes with the next millisecond. */
const TICK_MS = 1;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the follower", () => {
  it("asks for the newest wish, and for what changes during an apply once, afterwards", async () => {
    const { asked, answer, change } = rig();
    await change("one");
    for (const later of ["two", "three", "four"]) await change(later);
    expect(asked).toEqual(["one"]);
    await answer(fine);
    await vi.advanceTimersByTimeAsync(9);
    expect(asked).toEqual(["one"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toEqual(["one", "four"]);
    await answer(fine);
    expect(asked).toHaveLength(2);
  });

  it("looks at the wish only after the core's own effects are done", async () => {
    const { follower, asked, core } = rig();
    follower.changed();
    core.wanted = "the end of the list";
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toEqual(["the end of the list"]);
  });

  it("is settled when the kernel was asked for the last wish, not for one before it", async () => {
    const { follower, answer, change } = rig();
    await change("one");
    let settled = false;
    void follower.settled().then(() => (settled = true));
    await change("two");
    await answer(fine);
    expect([settled, follower.isSettled()]).toEqual([false, false]);
    await answer(fine);
    expect([settled, follower.isSettled()]).toEqual([true, true]);
  });

  it("keeps nobody waiting for more changes to come", async () => {
    const { follower, asked, answer, change } = rig();
    await change("one");
    await answer(fine);
    await change("two");
    expect(asked).toEqual(["one"]);
    void follower.settled();
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toEqual(["one", "two"]);
  });

  it("tries again after a while what could not be reached, says since when, and logs it once", async () => {
    const { follower, asked, warnings, answer, change } = rig();
    await change("one");
    await answer(failing("vxlan", "bridge"));
    expect(follower.failures().map((f) => [f.object, f.since])).toEqual([
      ["vxlan", 1_000],
      ["bridge", 1_000],
    ]);
    expect(follower.isSettled()).toBe(false);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1 + TICK_MS);
    expect(asked).toHaveLength(2);
    await answer(failing("vxlan"));
    expect(follower.failures().map((f) => [f.object, f.since])).toEqual([["vxlan", 1_000]]);
    await vi.advanceTimersByTimeAsync(5_000 + TICK_MS);
    await answer(fine);
    expect(follower.failures()).toEqual([]);
    expect(follower.isSettled()).toBe(true);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(asked).toHaveLength(3);
    expect(warnings).toEqual(["datapath object not reached vxlan", "datapath object not reached bridge"]);
  });

  it("a change during the pause is tried at once and takes the place of the retry", async () => {
    const { asked, answer, change } = rig();
    await change("one");
    await answer(failing("vxlan"));
    await vi.advanceTimersByTimeAsync(10);
    await change("two");
    await answer(fine);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(asked).toEqual(["one", "two"]);
  });

  it("takes a kernel that throws for one that reached nothing", async () => {
    const { follower, asked, answer, change } = rig();
    await change("one");
    await answer(new Error("the worker ended"));
    expect(follower.failures()).toEqual([{ object: "datapath", message: "the worker ended", since: 1_000 }]);
    await vi.advanceTimersByTimeAsync(5_000 + TICK_MS);
    expect(asked).toEqual(["one", "one"]);
    await answer(fine);
    expect(follower.isSettled()).toBe(true);
  });

  it("a change during an apply that throws is not left to the retry", async () => {
    const { follower, asked, answer, change } = rig();
    await change("one");
    let settled = false;
    void follower.settled().then(() => (settled = true));
    await change("two");
    await answer(new Error("the worker ended"));
    expect(asked).toEqual(["one", "two"]);
    expect(settled).toBe(false);
  });

  it("reads the kernel anew every half minute, and applies what that showed", async () => {
    const { asked, observe } = rig();
    await vi.advanceTimersByTimeAsync(30_000 + TICK_MS);
    expect(observe).toHaveBeenCalledTimes(1);
    expect(asked).toEqual(["one"]);
  });

  it("repairs after the caller's turn, once for all calls of it, however lately it looked", async () => {
    const { follower, asked, observe } = rig();
    follower.repair();
    follower.repair();
    await Promise.resolve();
    expect(observe).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(TICK_MS);
    expect(observe).toHaveBeenCalledTimes(1);
    expect(asked).toEqual(["one"]);
    follower.repair();
    await vi.advanceTimersByTimeAsync(TICK_MS);
    expect(observe).toHaveBeenCalledTimes(2);
  });

  it("mends at once what the kernel says has drifted, and tells what was put back", async () => {
    const { follower, asked, observe, drifted, answer } = rig();
    drifted("bridge weave");
    drifted("bridge weave", "flood entry 192.0.2.2");
    await vi.advanceTimersByTimeAsync(TICK_MS);
    expect([asked, observe.mock.calls.length]).toEqual([["one"], 1]);
    await answer({ ...fine, repairs: [{ object: "bridge weave", message: "link add weave" }] });
    expect(follower.repairs()).toMatchObject([
      { object: "bridge weave", count: 1, message: "link add weave" },
    ]);
  });

  it("waits with what is taken away again and again, not with the rest", async () => {
    const { follower, asked, observe, drifted, answer } = rig();
    for (let i = 0; i < 20; i++) {
      drifted("bridge weave");
      await vi.advanceTimersByTimeAsync(300);
      await answer({ ...fine, repairs: [{ object: "bridge weave", message: "link add weave" }] });
    }
    expect([asked.length, observe.mock.calls.length]).toEqual([20, 20]);
    drifted("bridge weave");
    await vi.advanceTimersByTimeAsync(500);
    expect(observe).toHaveBeenCalledTimes(20);
    expect(follower.repairs()[0]?.notBefore).toBeGreaterThan(Date.now());
    expect(follower.failures()).toMatchObject([
      { object: "bridge weave", message: expect.stringContaining("again and again") },
    ]);
    expect(follower.isSettled()).toBe(false);
    drifted("bridge weave", "route 10.32.0.0/12");
    await vi.advanceTimersByTimeAsync(TICK_MS);
    expect(observe).toHaveBeenCalledTimes(21);
    expect(follower.failures()).toEqual([]);
    drifted("bridge weave");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(observe).toHaveBeenCalledTimes(22);
  });

  it("a kernel that cannot be read is logged, and nothing is applied", async () => {
    const { asked, observe, warnings } = rig();
    observe.mockRejectedValueOnce(new Error("gone"));
    await vi.advanceTimersByTimeAsync(30_000 + TICK_MS);
    expect(asked).toEqual([]);
    expect(warnings).toEqual(["the kernel could not be read anew "]);
  });

  it("stops after the apply under way: nothing is asked, retried or read any more", async () => {
    const { follower, asked, observe, answer, change } = rig();
    await change("one");
    await change("two");
    let stopped = false;
    void follower.stop().then(() => (stopped = true));
    await vi.advanceTimersByTimeAsync(0);
    expect(stopped).toBe(false);
    await answer(failing("vxlan"));
    expect(stopped).toBe(true);
    await change("three");
    follower.repair();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toEqual(["one"]);
    expect(observe).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});
