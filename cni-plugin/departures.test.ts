import { describe, expect, test } from "vitest";
import { Departures } from "./departures.ts";
import { Harness, NOTHING_LEFT } from "./testing/harness.ts";

const key = { network: "net1", containerId: "c-1", ifname: "eth0" };
const at = (bootMs: number, bootId = "b") => ({ bootId, bootMs });

test("an ADD that began before the last DEL is refused, and no other", () => {
  const departures = new Departures();
  departures.note(key, at(100));
  expect(() => departures.refuseEarlier(key, at(99))).toThrow(expect.objectContaining({ code: "cancelled" }));
  departures.refuseEarlier(key, at(100));
  departures.refuseEarlier(key, at(5, "another boot"));
  departures.refuseEarlier({ ...key, ifname: "eth1" }, at(5));
  departures.note(key, at(50)); // an older DEL that arrives later takes nothing back
  expect(() => departures.refuseEarlier(key, at(99))).toThrow();
});

test("forgets after ten minutes, and what is too much", () => {
  const departures = new Departures();
  departures.note(key, at(0));
  for (let i = 0; i < 10_000; i++) departures.note({ ...key, containerId: `x${i}` }, at(10));
  departures.refuseEarlier(key, at(-1));
  departures.note(key, at(20));
  departures.note({ ...key, ifname: "eth1" }, at(700_000));
  departures.refuseEarlier(key, at(19));
});

describe("in the plugin", () => {
  test("an ADD that arrives after its DEL leaves nothing; a new ADD of the key is served", async () => {
    const daemon = new Harness();
    await daemon.call("DEL", { body: { bootMs: 500 } });
    const late = await daemon.call("ADD", { body: { bootMs: 400 } });
    expect(late.json).toMatchObject({ code: 11, msg: expect.stringContaining("comes too late") });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
    expect((await daemon.call("ADD", { body: { bootMs: 600 } })).exit).toBe(0);
  });

  test("an ADD that began before the daemon was started is refused: a former one may have served its DEL", async () => {
    const daemon = new Harness();
    await daemon.call("DEL", { body: { bootMs: 1_500 } });
    daemon.now = 2_000;
    daemon.restart();
    const late = await daemon.call("ADD", { body: { bootMs: 1_400 } });
    expect(late.json).toMatchObject({ code: 11, msg: expect.stringContaining("before weaver was started") });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
    expect((await daemon.call("ADD", { body: { bootMs: 2_100 } })).exit).toBe(0);
  });

  test("a DEL that began before an ADD does not end that ADD", async () => {
    const daemon = new Harness();
    const held = daemon.holdAt("attach");
    const adding = daemon.call("ADD", { body: { bootMs: 600 } });
    await held.reached;
    const replayed = daemon.plugin.replay(key, { bootId: daemon.bootId, bootMs: 500 });
    const late = daemon.call("DEL", { body: { bootMs: 500 } });
    held.release();
    expect((await adding).exit).toBe(0);
    await replayed;
    expect((await late).exit).toBe(0);
    expect(daemon.residue().addresses).toBe("net1/c-1/eth0");
  });

  test("a DEL that arrives after the key was used again leaves the new container alone", async () => {
    const daemon = new Harness();
    await daemon.call("ADD", { body: { bootMs: 600 } });
    const kept = daemon.residue();
    expect((await daemon.call("DEL", { body: { bootMs: 500 } })).exit).toBe(0);
    expect(daemon.residue()).toEqual(kept);
    await daemon.plugin.replay(key, { bootId: daemon.bootId, bootMs: 500 });
    await daemon.plugin.replay(key, { bootId: "an earlier boot", bootMs: 9_999 });
    expect(daemon.residue()).toEqual(kept);
    await daemon.plugin.replay(key, { bootId: daemon.bootId, bootMs: 700 });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });
});
