import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Effect, Instant } from "../effects.ts";
import { decodeFrame, type Hello } from "../gossip/frames.ts";
import { seededRandom } from "../random.ts";
import {
  ALIVE_MS,
  DIAL_BACKOFF_LONE_MS,
  DIAL_BACKOFF_MS,
  DIAL_STABLE_MS,
  HELLO_TIMEOUT_MS,
  LAG_FREE_MS,
  MAX_LINKS,
  MAX_REFUSALS,
  PING_INTERVAL_MS,
  REFUSAL_SHOWN_MS,
  SILENT_MS,
} from "./constants.ts";
import type { Target } from "./dialler.ts";
import { cloneObjection, introduction } from "./hello.ts";
import { type EstablishedLink, type Link, Mesh, type MeshSurroundings } from "./mesh.ts";

const facts = (name: string) => ({
  software: "0.1.0",
  name,
  nickname: `host-${name}`,
  uid: `uid-of-${name}`,
  incarnation: `disk-of-${name}`,
  universes: ["10.32.0.0/12"],
  vni: 7,
  vxlanPort: 6784,
});
const helloOf = (name: string, changes: Partial<Hello> = {}): Hello => ({
  ...introduction(facts(name)),
  nonce: "000000000000",
  ...changes,
});

/** Alice's mesh at time 0, and the two sides of her connections played by hand. */
class Rig {
  readonly mesh: Mesh;
  out: Effect[] = [];
  #nextConn = 1;

  constructor(seed = 1, around: Partial<MeshSurroundings> = {}) {
    this.mesh = new Mesh(introduction(facts("alice")), seededRandom(seed), around);
  }

  up(now: Instant, dial?: number, remoteAddress = "192.0.2.2"): Link {
    const conn = this.#nextConn++;
    const event = { type: "conn-up", conn, remoteAddress, remotePort: 1, localAddress: "192.0.2.1" } as const;
    this.mesh.up(dial === undefined ? event : { ...event, dial }, now, this.out);
    const link = this.mesh.link(conn);
    if (link === undefined) throw new Error("no link");
    return link;
  }

  /** A connection whose other side introduces itself at once. */
  meet(name: string, now: Instant, dial?: number, changes: Partial<Hello> = {}): Link {
    const link = this.up(now, dial);
    this.mesh.hello(link, helloOf(name, changes), now, this.out);
    return link;
  }

  tick(now: Instant, lateMs = 0): readonly string[] {
    return this.mesh.tick(now, lateMs, this.out).map(({ type, link }) => `${type} ${link.peer.name}`);
  }

  /** Dials asked for since the last look. */
  dials(): { dial: number; target: string }[] {
    return this.#take().flatMap((e) => (e.type === "dial" ? [{ dial: e.dial, target: e.target }] : []));
  }

  /** Codes of connections closed since the last look. */
  closed(): string[] {
    return this.#take().flatMap((e) => (e.type === "close" ? [e.reason.code] : []));
  }

  sent(): unknown[] {
    return this.#take().flatMap((e) => (e.type === "send" ? [decodeFrame(e.text)] : []));
  }

  /** Dial now; its number. */
  dialNow(now: Instant): number {
    this.tick(now);
    const [dial] = this.dials();
    if (dial === undefined) throw new Error(`no dial at ${now}`);
    return dial.dial;
  }

  target(): Target {
    const [target] = this.mesh.targets();
    if (target === undefined) throw new Error("no target");
    return target;
  }

  links(): string[] {
    return this.mesh.links().map((link) => link.peer.name);
  }

  #take(): Effect[] {
    const taken = this.out;
    this.out = [];
    return taken;
  }
}

describe("dialling", () => {
  it("pauses longer after each failure, up to a limit, half to one and a half times as long", () => {
    const firsts = new Set<number>();
    for (let seed = 1; seed <= 40; seed++) {
      const rig = new Rig(seed);
      rig.mesh.setTargets(["bob"], true, 0);
      let now = 0;
      for (let failures = 1; failures <= 12; failures++) {
        rig.mesh.dialFailed(rig.dialNow(now), "refused", now);
        const { nextDial } = rig.target();
        const base = Math.min(DIAL_BACKOFF_MS * 1.5 ** (failures - 1), DIAL_BACKOFF_LONE_MS);
        expect(nextDial - now).toBeGreaterThanOrEqual(base * 0.5);
        expect(nextDial - now).toBeLessThanOrEqual(base * 1.5);
        expect(rig.mesh.nextDeadline()).toBe(nextDial);
        if (failures === 1) firsts.add(nextDial);
        rig.tick(nextDial - 1);
        expect(rig.dials()).toEqual([]);
        now = nextDial;
      }
    }
    expect(firsts.size).toBeGreaterThan(30);
  });

  it("says why it fails, and since when", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob"], true, 0);
    rig.mesh.dialFailed(rig.dialNow(0), "refused", 10);
    rig.mesh.dialFailed(rig.dialNow(10_000), "no route", 10_010);
    expect(rig.target()).toMatchObject({
      state: "waiting",
      failures: 2,
      failure: { code: "dial-failed", message: "no route", since: 10 },
    });
    rig.meet("bob", 30_000, rig.dialNow(30_000));
    expect(rig.target()).toMatchObject({ state: "connected", failure: undefined, peer: "bob" });
  });

  it.each([
    ["lived for a minute", DIAL_STABLE_MS + 1, 1],
    ["broke before that", DIAL_STABLE_MS, 4],
  ])("after a connection that %s counts anew or goes on", (_, lived, failures) => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob"], true, 0);
    for (const now of [0, 50_000, 100_000]) rig.mesh.dialFailed(rig.dialNow(now), "refused", now);
    const { conn } = rig.meet("bob", 150_000, rig.dialNow(150_000));
    rig.mesh.down(conn, { code: "connection-lost", message: "" }, 150_000 + lived);
    expect(rig.target()).toMatchObject({ state: "waiting", failures, failure: { code: "connection-lost" } });
  });

  it("one target at a time: what is being dialled or connected is not dialled again", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob", "carol"], true, 0);
    rig.tick(0);
    const [bob, carol] = rig.dials();
    expect([bob?.target, carol?.target]).toEqual(["bob", "carol"]);
    rig.meet("bob", 1, bob?.dial);
    rig.tick(1_000);
    expect(rig.dials()).toEqual([]);
  });

  it("forgets a dial that ends after its target was taken away", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob"], true, 0);
    const dial = rig.dialNow(0);
    rig.mesh.setTargets([], true, 1);
    rig.mesh.dialFailed(dial, "refused", 2);
    rig.tick(60_000);
    expect([rig.dials(), rig.mesh.targets(), rig.mesh.nextDeadline()]).toEqual([[], [], undefined]);
  });
});

describe("targets", () => {
  it("are added to, or replaced; connections stay", () => {
    const rig = new Rig();
    const addresses = (): string[] => rig.mesh.targets().map((t) => t.address);
    rig.mesh.setTargets(["bob"], true, 0);
    rig.meet("bob", 0, rig.dialNow(0));
    rig.mesh.setTargets(["carol"], false, 1);
    expect(addresses()).toEqual(["bob", "carol"]);
    rig.mesh.setTargets(["dave"], true, 2);
    expect(addresses()).toEqual(["dave"]);
    expect(rig.links()).toEqual(["bob"]);
    expect(rig.closed()).toEqual([]);
  });

  it("named again are tried at once, unless they are connected", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob", "carol"], true, 0);
    rig.tick(0);
    const [bob, carol] = rig.dials();
    rig.meet("bob", 0, bob?.dial);
    rig.mesh.dialFailed(carol?.dial ?? 0, "refused", 0);
    rig.mesh.setTargets(["bob", "carol"], false, 100);
    rig.tick(100);
    expect(rig.dials().map((d) => d.target)).toEqual(["carol"]);
  });

  it("that are this daemon are never tried again, until they are named again", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["myself"], true, 0);
    const dialled = rig.up(0, rig.dialNow(0));
    const accepted = rig.up(0);
    for (const link of [dialled, accepted]) rig.mesh.hello(link, helloOf("alice"), 0, rig.out);
    expect(rig.closed()).toEqual(["self", "self"]);
    expect(rig.target()).toMatchObject({ state: "self", failure: undefined });
    expect(rig.mesh.refusals(0)).toEqual([]);
    rig.tick(3_600_000);
    expect([rig.dials(), rig.mesh.nextDeadline()]).toEqual([[], undefined]);
    rig.mesh.setTargets(["myself"], false, 3_600_000);
    rig.tick(3_600_000);
    expect(rig.dials()).toHaveLength(1);
  });

  it("whose other end noticed first that it is this daemon, too", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["myself"], true, 0);
    const { conn } = rig.up(0, rig.dialNow(0));
    rig.mesh.down(conn, { code: "self", message: "" }, 0);
    expect(rig.target().state).toBe("self");
  });

  it("whose peer has dialled us wait for that connection, and are dialled when it is lost", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob"], true, 0);
    const first = rig.meet("bob", 0, rig.dialNow(0));
    rig.mesh.down(first.conn, { code: "connection-lost", message: "" }, 1);
    const inbound = rig.meet("bob", 2);
    rig.tick(4_000);
    expect(rig.dials()).toEqual([]);
    rig.mesh.down(inbound.conn, { code: "connection-lost", message: "" }, 5_000);
    rig.tick(5_000);
    expect(rig.dials()).toEqual([]); // all who lost the peer at this moment would dial it in step
    rig.tick(60_000);
    expect(rig.dials().map((d) => d.target)).toEqual(["bob"]);
  });
});

describe("a link", () => {
  it("opens with an introduction, with the cluster once it is known", () => {
    const rig = new Rig();
    rig.up(0);
    rig.mesh.belongs = { cluster: "c1", epoch: 3, joined: 2 };
    rig.up(0);
    const [before, after] = rig.sent();
    expect(before).toMatchObject({ t: "hello", name: "alice", uid: "uid-of-alice" });
    expect(before).not.toHaveProperty("cluster");
    expect(after).toMatchObject({ cluster: "c1", epoch: 3, joined: 2 });
  });

  it("ends when the other side does not introduce itself in time", () => {
    const rig = new Rig();
    rig.up(0);
    expect(rig.mesh.nextDeadline()).toBe(HELLO_TIMEOUT_MS);
    rig.tick(HELLO_TIMEOUT_MS - 1);
    expect(rig.closed()).toEqual([]);
    expect(rig.tick(HELLO_TIMEOUT_MS)).toEqual([]);
    expect(rig.closed()).toEqual(["silent"]);
    expect(rig.mesh.nextDeadline()).toBeUndefined();
  });

  it("is lost after silence, and asks before", () => {
    const rig = new Rig();
    const link = rig.meet("bob", 0);
    rig.sent();
    for (const now of [PING_INTERVAL_MS, 2 * PING_INTERVAL_MS]) {
      expect(rig.mesh.nextDeadline()).toBe(now);
      expect(rig.tick(now)).toEqual([]);
      expect(rig.sent()).toEqual([{ t: "ping", n: 0 }]);
    }
    rig.mesh.heard(link, 12_000);
    expect(rig.tick(12_000 + SILENT_MS - 1)).toEqual([]);
    expect(rig.tick(12_000 + SILENT_MS)).toEqual(["lost bob"]);
    expect(rig.closed()).toEqual(["silent"]);
    expect(rig.links()).toEqual([]);
  });

  it("has a deadline each PING_INTERVAL_MS on the side that answers, too, or its absence could not be told", () => {
    const rig = new Rig();
    rig.meet("aaron", 0);
    rig.sent();
    expect(rig.mesh.nextDeadline()).toBe(PING_INTERVAL_MS);
    expect(rig.tick(PING_INTERVAL_MS + 20_000, 20_000)).toEqual([]);
    expect(rig.sent()).toEqual([]);
  });

  it("is not taken for dead by a process that was away itself", () => {
    const rig = new Rig();
    rig.meet("bob", 0);
    rig.up(0); // and one that has not introduced itself
    expect(rig.tick(65_000, 60_000)).toEqual([]);
    expect(rig.closed()).toEqual([]);
    expect(rig.tick(65_000 + SILENT_MS)).toEqual(["lost bob"]);
  });

  it("that was heard while the process was away is not excused for what is to come", () => {
    const rig = new Rig();
    const link = rig.meet("bob", 0);
    rig.mesh.heard(link, 60_000);
    expect(rig.tick(60_000, 60_000)).toEqual([]);
    expect(rig.tick(60_000 + SILENT_MS)).toEqual(["lost bob"]);
  });

  it("that was late by as much as timers are has no such excuse", () => {
    const rig = new Rig();
    rig.meet("bob", 0);
    expect(rig.tick(SILENT_MS, LAG_FREE_MS - 1)).toEqual(["lost bob"]);
  });

  it("of a process that is late again and again may be silent for longer, and not for ever", () => {
    const rig = new Rig();
    rig.meet("bob", 0);
    for (const now of [5_000, 10_000]) rig.tick(now, 900);
    expect(rig.tick(SILENT_MS, 0)).toEqual([]);
    rig.meet("carol", SILENT_MS);
    // Nothing is late any more: what was granted melts away.
    expect(rig.tick(SILENT_MS + 3_000, 0)).toEqual(["lost bob"]);
    for (let now = 20_000; now < 60_000; now += 1_000) rig.tick(now, 0);
    expect(rig.links()).toEqual([]);
  });

  it("is asked by the side with the lesser name, which tells what it measured", () => {
    const rig = new Rig();
    const asked = rig.meet("aaron", 0);
    const answering = rig.meet("bob", 0);
    rig.sent();
    rig.tick(PING_INTERVAL_MS);
    expect(rig.sent()).toEqual([{ t: "ping", n: 0 }]);
    rig.mesh.pong(answering, PING_INTERVAL_MS + 7);
    rig.mesh.ping(asked, { n: 0, rtt: 9 }, rig.out);
    expect(asked.rttMs).toBe(9);
    rig.sent();
    rig.tick(2 * PING_INTERVAL_MS);
    expect(rig.sent()).toEqual([{ t: "ping", n: 0, rtt: 7 }]);
  });

  it("is measured by ping and pong", () => {
    const rig = new Rig();
    const link = rig.meet("bob", 0);
    rig.tick(PING_INTERVAL_MS);
    rig.sent();
    rig.mesh.pong(link, PING_INTERVAL_MS + 7);
    expect(link.rttMs).toBe(7);
    rig.mesh.ping(link, { n: 3 }, rig.out);
    expect(rig.sent()).toEqual([{ t: "pong", n: 3 }]);
  });

  it("that introduces itself twice is ended", () => {
    const rig = new Rig();
    const link = rig.meet("bob", 0);
    const changes = rig.mesh.hello(link, helloOf("bob"), 1, rig.out);
    expect(changes.map((c) => c.type)).toEqual(["lost"]);
    expect(rig.closed()).toEqual(["protocol"]);
  });

  it("beyond the limit is closed when it comes in, never when we dialled it", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob"], true, 0);
    const dial = rig.dialNow(0);
    for (let i = 0; i < MAX_LINKS; i++) rig.up(0);
    expect(() => rig.up(0)).toThrow("no link");
    expect(rig.closed()).toEqual(["full"]);
    rig.meet("bob", 0, dial);
    expect(rig.links()).toEqual(["bob"]);
  });
});

describe("refusals", () => {
  const strangers: readonly (readonly [string, Partial<Hello>])[] = [
    ["clone", { name: "alice", uid: "another-uid" }],
    ["protocol", { protocol: { min: 3, max: 4 } }],
    ["protocol", { protocol: { min: 0, max: 0 } }],
    ["range-mismatch", { universes: ["10.48.0.0/12"] }],
    ["range-mismatch", { universes: ["10.32.0.0/12", "fd00::/80"] }],
    ["overlay-mismatch", { vni: 8 }],
    ["overlay-mismatch", { vxlanPort: 4789 }],
  ];

  it.each(strangers)("%s for %j, told on both sides", (code, changes) => {
    const rig = new Rig();
    rig.meet("bob", 0, undefined, changes);
    expect(rig.closed()).toEqual([code]);
    expect(rig.links()).toEqual([]);
    expect(rig.mesh.refusals(0)).toMatchObject([{ code, address: "192.0.2.2", since: 0, last: 0 }]);
  });

  it("by the other side are failures of the target, and it is tried again", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob"], true, 0);
    const { conn } = rig.up(0, rig.dialNow(0));
    rig.mesh.down(conn, { code: "range-mismatch", message: "all must have the same" }, 0);
    expect(rig.target()).toMatchObject({ state: "waiting", failure: { code: "range-mismatch" } });
    rig.tick(60_000);
    expect(rig.dials()).toHaveLength(1);
  });

  it("for the name of this host are told in full, however little of it arrived", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob"], true, 0);
    const { conn } = rig.up(0, rig.dialNow(0));
    rig.mesh.down(conn, { code: "clone", message: "two hosts use…" }, 0);
    expect(rig.target().failure?.message).toBe(cloneObjection("alice").message);
  });

  it("are shown for five minutes after the last attempt, since the first", () => {
    const rig = new Rig();
    for (const now of [0, 60_000]) rig.meet("bob", now, undefined, { vni: 8 });
    expect(rig.mesh.refusals(60_000)).toMatchObject([{ since: 0, last: 60_000 }]);
    expect(rig.mesh.refusals(60_000 + REFUSAL_SHOWN_MS - 1)).toHaveLength(1);
    expect(rig.mesh.refusals(60_000 + REFUSAL_SHOWN_MS)).toEqual([]);
  });

  it("end when that daemon is let in", () => {
    const rig = new Rig();
    rig.meet("bob", 0, undefined, { vni: 8 });
    rig.meet("carol", 0, undefined, { vni: 8 });
    rig.meet("bob", 1);
    expect(rig.mesh.refusals(1).map((r) => r.name)).toEqual(["carol"]);
  });

  it("of the oldest are forgotten when there are too many", () => {
    const rig = new Rig();
    for (let i = 0; i <= MAX_REFUSALS; i++) rig.meet(`peer${i}`, i, undefined, { vni: 8 });
    const names = rig.mesh.refusals(MAX_REFUSALS).map((r) => r.name);
    expect(names).toHaveLength(MAX_REFUSALS);
    expect(names).not.toContain("peer0");
    expect(names).toContain(`peer${MAX_REFUSALS}`);
  });

  it("of a second daemon with a neighbour's name, as long as the first is alive", () => {
    const rig = new Rig();
    const first = rig.meet("bob", 0);
    rig.meet("bob", ALIVE_MS - 1, undefined, { uid: "another-uid" });
    expect(rig.closed()).toEqual(["clone"]);
    expect(rig.mesh.linkTo("bob")?.conn).toBe(first.conn);
    const later = rig.meet("bob", ALIVE_MS, undefined, { uid: "another-uid" });
    expect(rig.closed()).toEqual(["duplicate"]); // the first: bob was restarted
    expect(rig.mesh.linkTo("bob")?.conn).toBe(later.conn);
    expect(rig.mesh.refusals(ALIVE_MS)).toEqual([]);
  });
});

/** Two meshes, and a transport whose every delivery is chosen: in order on each connection, in any order among them. */
class Wires {
  readonly #meshes: readonly Mesh[];
  /** What a side has yet to hear, by connection. */
  readonly #queues = new Map<string, (() => void)[]>();
  readonly open = new Set<number>();
  #nextConn = 1;
  now = 0;

  constructor(meshes: readonly Mesh[]) {
    this.#meshes = meshes;
  }

  /** Run until nothing is under way; `choose` picks among n. */
  drain(choose: (n: number) => number): void {
    for (;;) {
      for (const side of this.#meshes.keys())
        this.#with(side, (out, mesh) => void mesh.tick(this.now, 0, out));
      const waiting = [...this.#queues].filter(([, queue]) => queue.length > 0);
      const [, queue] = waiting[choose(waiting.length)] ?? [];
      if (queue === undefined) return;
      queue.shift()?.();
    }
  }

  #with(side: number, act: (out: Effect[], mesh: Mesh) => void): void {
    const out: Effect[] = [];
    const mesh = this.#meshes[side];
    if (mesh === undefined) throw new Error(`no side ${side}`);
    act(out, mesh);
    const other = 1 - side;
    for (const effect of out) {
      if (effect.type === "dial") {
        const conn = this.#nextConn++;
        this.open.add(conn);
        const event = { type: "conn-up", conn, remoteAddress: "", remotePort: 1, localAddress: "" } as const;
        this.#later(side, conn, (o, m) => m.up({ ...event, dial: effect.dial }, this.now, o));
        this.#later(other, conn, (o, m) => m.up(event, this.now, o));
      } else if (effect.type === "send" && this.open.has(effect.conn)) {
        this.#later(other, effect.conn, (o, m) => this.#frame(m, effect.conn, effect.text, o));
      } else if (effect.type === "close" && this.open.delete(effect.conn)) {
        for (const told of [side, other]) {
          this.#later(told, effect.conn, (_, m) => void m.down(effect.conn, effect.reason, this.now));
        }
      }
    }
  }

  #later(side: number, conn: number, act: (out: Effect[], mesh: Mesh) => void): void {
    const key = `${side} ${conn}`;
    const queue = this.#queues.get(key) ?? [];
    this.#queues.set(key, queue);
    queue.push(() => this.#with(side, act));
  }

  #frame(mesh: Mesh, conn: number, text: string, out: Effect[]): void {
    const link = mesh.link(conn);
    const frame = decodeFrame(text);
    if (link === undefined || frame === "unknown" || "refused" in frame) return;
    mesh.heard(link, this.now);
    if (frame.t === "hello") mesh.hello(link, frame, this.now, out);
    if (frame.t === "ping") mesh.ping(link, frame, out);
    if (frame.t === "pong") mesh.pong(link, this.now);
  }
}

describe("two peers that dial each other", () => {
  it("end with one connection, the same on both sides, and keep it", () => {
    const only = (mesh: Mesh): EstablishedLink => {
      const [link, ...others] = mesh.links();
      expect(others).toEqual([]);
      if (link === undefined) throw new Error("no link");
      return link;
    };
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.array(fc.nat(), { minLength: 50, maxLength: 50 }),
        (seed, aliceDials, bobDials, choices) => {
          const alice = new Mesh(introduction(facts("alice")), seededRandom(seed));
          const bob = new Mesh(introduction(facts("bob")), seededRandom(seed + 1));
          const names = ["bob", "192.0.2.2", "192.0.2.2:6783"];
          alice.setTargets(names.slice(0, aliceDials), true, 0);
          bob.setTargets(names.slice(0, bobDials), true, 0);
          const wires = new Wires([alice, bob]);
          let step = 0;
          const choose = (n: number): number => (choices[step++ % choices.length] ?? 0) % Math.max(n, 1);
          wires.drain(choose);
          const { conn } = only(alice);
          expect(only(bob).conn).toBe(conn);
          expect([...wires.open]).toEqual([conn]);
          for (wires.now = 1_000; wires.now <= 120_000; wires.now += 1_000) wires.drain(choose);
          expect([only(alice).conn, only(bob).conn]).toEqual([conn, conn]);
          expect([...wires.open]).toEqual([conn]);
        },
      ),
    );
  });
});

describe("at the connection limit", () => {
  /** Alice with a limit of 2, connected to bob and carol; she knows paths to these. */
  function full(...paths: string[]): Rig {
    const rig = new Rig(1, { limit: 2, isReachable: (name) => paths.includes(name) });
    rig.meet("bob", 0);
    rig.meet("carol", 0);
    rig.closed();
    return rig;
  }

  it("who can be reached over others is turned away, whoever dialled", () => {
    const rig = full("dave", "erin");
    rig.meet("dave", 1, undefined, { links: 3 });
    expect(rig.closed()).toEqual(["full"]);
    rig.mesh.setTargets(["erin"], true, 1);
    rig.meet("erin", 1, rig.dialNow(1), { links: 3 });
    expect(rig.closed()).toEqual(["full"]);
    expect(rig.links()).toEqual(["bob", "carol"]);
    expect(rig.target()).toMatchObject({ state: "waiting", failure: { code: "full" } });
    expect(rig.target().failure?.message).toMatch(/^connection limit reached \(2\)/);
    expect(rig.mesh.refusals(1)).toEqual([]);
  });

  it("who cannot is let in, and who has no connection at all", () => {
    const rig = full("erin");
    rig.meet("dave", 1, undefined, { links: 3 });
    rig.meet("erin", 1, undefined, { links: 0 });
    expect(rig.links()).toEqual(["bob", "carol", "dave", "erin"]);
  });

  it("a target with a path that has room for no more is dialled when it has", () => {
    const there = { full: true };
    const rig = new Rig(1, { limit: 2, isReachable: () => true, isFull: () => there.full });
    rig.mesh.setTargets(["dave"], true, 0);
    const { conn } = rig.meet("dave", 1, rig.dialNow(1), { links: 3 });
    rig.mesh.down(conn, { code: "full", message: "connection limit reached" }, 2);
    rig.tick(10_000_000, 10_000_000);
    expect([rig.dials(), rig.mesh.isDialled(rig.target())]).toEqual([[], false]);
    there.full = false;
    rig.tick(10_000_001);
    expect(rig.dials()).toHaveLength(1);
  });

  it("a target with a path is not dialled before there is room", () => {
    const rig = full("dave");
    rig.mesh.setTargets(["dave"], true, 0);
    const { conn } = rig.meet("dave", 1, rig.dialNow(1), { links: 3 });
    expect(rig.mesh.link(conn)).toBeUndefined();
    rig.tick(10_000_000, 10_000_000);
    expect([rig.dials(), rig.mesh.isDialled(rig.target())]).toEqual([[], false]);
    const bob = rig.mesh.linkTo("bob");
    if (bob !== undefined) rig.mesh.down(bob.conn, { code: "connection-lost", message: "" }, 10_000_001);
    rig.tick(10_000_001);
    expect(rig.dials()).toHaveLength(1);
  });

  it("what can be spared is let go with the reason", () => {
    const rig = full();
    expect(
      rig.mesh.spare(["carol", "nobody"], 5, rig.out).map(({ type, link }) => [type, link.peer.name]),
    ).toEqual([["lost", "carol"]]);
    expect(rig.closed()).toEqual(["full"]);
  });
});

describe("a peer that gossip told of", () => {
  it("is let go when another one answers there", () => {
    const rig = new Rig();
    rig.mesh.seek([{ name: "bob", address: "192.0.2.2", urgent: true }], () => true, 0);
    rig.meet("carol", 5_000, rig.dialNow(5_000));
    expect([rig.closed(), rig.links()]).toEqual([["other-peer"], []]);
    rig.meet("bob", 60_000, rig.dialNow(60_000));
    expect(rig.links()).toEqual(["bob"]);
  });
});

describe("an address that changes", () => {
  it("ends connections that left from the old one, and dials again at once", () => {
    const rig = new Rig();
    rig.mesh.setTargets(["bob"], true, 0);
    rig.meet("bob", 0, rig.dialNow(0));
    expect(rig.mesh.addressesAre(new Set(["192.0.2.1", "192.0.2.9"]), false, 1_000, rig.out)).toEqual([]);
    const lost = rig.mesh.addressesAre(new Set(["192.0.2.9"]), true, 2_000, rig.out);
    expect(lost).toMatchObject([{ type: "lost", reason: { code: "address-gone" } }]);
    expect(rig.closed()).toEqual(["address-gone"]);
    rig.tick(3_000);
    expect(rig.dials()).toHaveLength(1);
  });

  it("makes the connection from the new one the better one, on both sides, whatever the nonces", () => {
    for (let seed = 1; seed < 20; seed++) {
      const rig = new Rig(seed);
      rig.meet("bob", 0, undefined, { moves: 0, nonce: "000000000000" });
      const moved = rig.meet("bob", 1_000, undefined, { moves: 1, nonce: "ffffffffffff" });
      expect(rig.mesh.linkTo("bob")?.conn).toBe(moved.conn);
      const late = rig.meet("bob", 2_000, undefined, { moves: 0, nonce: "000000000000" });
      expect(rig.mesh.link(late.conn)).toBeUndefined();
    }
  });
});

it("the first connection after none ends all pauses: the network is back", () => {
  const rig = new Rig();
  rig.mesh.setTargets(["bob"], true, 0);
  for (const now of [0, 100_000, 200_000, 300_000]) rig.mesh.dialFailed(rig.dialNow(now), "unreachable", now);
  rig.meet("carol", 300_001);
  rig.tick(301_001);
  expect(rig.dials()).toHaveLength(1);
});
