// What only a network in memory can show: crashes, chance that repeats, partitions of many. The rest is in
// test/conformance/transport.ts.
import { describe, expect, it } from "vitest";
import { seededRandom } from "../core/random.ts";
import type { TransportEvent } from "../ports/transport.ts";
import {
  createMemoryNetwork,
  type LinkOptions,
  type MemoryEndpoint,
  type Scheduler,
} from "./transport-memory.ts";

/** A network, its time, and a transcript of all events with the time they were told. */
class World {
  readonly transcript: string[] = [];
  readonly #due: { time: number; run: () => void }[] = [];
  #now = 0;
  readonly scheduler: Scheduler = {
    now: () => this.#now,
    at: (time, run) => {
      this.#due.push({ time: Math.max(time, this.#now), run });
      // Stable: equal times stay in the order they were asked for.
      this.#due.sort((one, other) => one.time - other.time);
    },
  };
  readonly network;

  constructor(link: LinkOptions = { latencyMs: { min: 5, max: 20 }, lossProbability: 0 }, seed = 1) {
    this.network = createMemoryNetwork({ scheduler: this.scheduler, random: seededRandom(seed), link });
  }

  endpoint(address: string): MemoryEndpoint {
    const endpoint = this.network.endpoint(address);
    endpoint.onEvent((event) => this.transcript.push(`${this.#now} ${address} ${words(event)}`));
    return endpoint;
  }

  run(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#due[0]; next !== undefined && next.time <= end; next = this.#due[0]) {
      this.#due.shift();
      this.#now = next.time;
      next.run();
    }
    this.#now = end;
  }

  /** What an address was told, without times. */
  told(address: string): string[] {
    const mine = this.transcript.filter((line) => line.split(" ")[1] === address);
    return mine.map((line) => line.split(" ").slice(2).join(" "));
  }
}

function words(event: TransportEvent): string {
  switch (event.type) {
    case "conn-up":
      return `up ${event.conn} ${event.remoteAddress}`;
    case "conn-frame":
      return `frame ${event.conn} ${event.text}`;
    case "conn-sent":
      return `sent ${event.conn}`;
    case "conn-down":
      return `down ${event.conn} ${event.reason.code}`;
    case "dial-failed":
      return `failed ${event.dial} ${event.message}`;
    case "conn-refused":
      return `refused ${event.remoteAddress} ${event.reason.code}`;
  }
}

describe("memory network", () => {
  it("tells the others of a crash after a latency, the crashed one nothing", () => {
    const world = new World();
    const alice = world.endpoint("alice");
    const bob = world.endpoint("bob");
    alice.dial(1, "bob");
    world.run(100);
    alice.send(1, "on its way", { ack: false });
    bob.crash();
    world.run(10_000);
    expect(world.told("alice")).toEqual(["up 1 bob", "down 1 connection-lost"]);
    expect(world.told("bob")).toEqual(["up 1 alice"]);
    // Dead calls do nothing, and the address is free.
    bob.dial(1, "alice");
    bob.send(1, "x", { ack: true });
    bob.close(1, { code: "x", message: "" });
    const again = world.endpoint("bob");
    again.dial(1, "alice");
    world.run(100);
    expect(world.told("bob")).toEqual(["up 1 alice", "up 1 alice"]);
    expect(world.told("alice").at(-1)).toBe("up 2 bob");
  });

  it("delivers what had left a process before it crashed", () => {
    const world = new World();
    const [alice, bob] = [world.endpoint("alice"), world.endpoint("bob")];
    alice.dial(1, "bob");
    world.run(100);
    bob.send(1, "last words", { ack: false });
    bob.crash();
    world.run(100);
    expect(world.told("alice")).toEqual(["up 1 bob", "frame 1 last words", "down 1 connection-lost"]);
  });

  it("ends a connection in a round trip when the other side answers", () => {
    const world = new World();
    const [alice] = [world.endpoint("alice"), world.endpoint("bob")];
    alice.dial(1, "bob");
    world.run(100);
    alice.close(1, { code: "bye", message: "" });
    world.run(40);
    expect(world.told("bob").at(-1)).toBe("down 1 bye");
    expect(world.told("alice").at(-1)).toBe("down 1 bye");
  });

  it("hides a crash behind a partition until it heals", () => {
    const world = new World();
    const [alice, bob] = [world.endpoint("alice"), world.endpoint("bob")];
    alice.dial(1, "bob");
    world.run(100);
    world.network.partition([["bob"]]);
    bob.crash();
    world.run(60_000);
    expect(world.told("alice")).toEqual(["up 1 bob"]);
    world.network.heal();
    world.run(100);
    expect(world.told("alice")).toEqual(["up 1 bob", "down 1 connection-lost"]);
  });

  it("keeps groups apart, those in none together", () => {
    const world = new World();
    const peers = new Map(["a", "b", "c", "d"].map((name) => [name, world.endpoint(name)]));
    world.network.partition([["a"], ["b"]]);
    for (const [from, to] of [
      ["a", "b"],
      ["b", "c"],
      ["c", "d"],
    ] as const) {
      peers.get(from)?.dial(1, to);
    }
    world.run(4000);
    expect(world.transcript.map((line) => line.split(" ").slice(1).join(" ")).toSorted()).toEqual([
      "c up 1 d",
      "d up 1 c",
    ]);
    // A dial that still waits goes through when the partition heals in time.
    world.network.partition([["a", "b"]]);
    world.run(6000);
    expect(world.told("a")).toEqual(["up 1 b"]);
    expect(world.told("b")).toEqual(["up 1 a", "failed 1 no answer within 5 s"]);
  });

  it("takes loss out on connections, never on single frames", () => {
    const world = new World({ latencyMs: { min: 1, max: 9 }, lossProbability: 0.05 });
    const [alice] = [world.endpoint("alice"), world.endpoint("bob")];
    for (let dial = 1; dial <= 30; dial++) alice.dial(dial, "bob");
    world.run(6000);
    const ups = world.told("alice").filter((line) => line.startsWith("up")).length;
    for (let conn = 1; conn <= ups; conn++) {
      for (let i = 0; i < 50; i++) alice.send(conn, String(i), { ack: false });
    }
    world.run(6000);
    const lost = (name: string) => world.told(name).filter((line) => line.endsWith("connection-lost")).length;
    expect(lost("alice")).toBeGreaterThan(5);
    expect(lost("bob")).toBe(lost("alice"));
    for (let conn = 1; conn <= ups; conn++) {
      const frames = world.told("bob").filter((line) => line.startsWith(`frame ${conn} `));
      expect(frames).toEqual(frames.map((_, i) => `frame ${conn} ${i}`));
    }
  });

  it("holds back the acknowledgement while the other side's link is stalled and the buffer full", () => {
    const world = new World();
    const [alice] = [world.endpoint("alice"), world.endpoint("bob")];
    alice.dial(1, "bob");
    world.run(100);
    world.network.partition([["bob"]]);
    alice.send(1, "x".repeat(200_000), { ack: false });
    alice.send(1, "y".repeat(200_000), { ack: true });
    world.run(10_000);
    expect(world.told("alice")).toEqual(["up 1 bob"]);
    world.network.heal();
    world.run(100);
    expect(world.told("alice")).toEqual(["up 1 bob", "sent 1"]);
  });

  it("repeats from its seed, and differs with another", () => {
    const play = (seed: number): string[] => {
      const world = new World({ latencyMs: { min: 1, max: 200 }, lossProbability: 0.01 }, seed);
      const peers = ["a", "b", "c"].map((name) => world.endpoint(name));
      for (const peer of peers) {
        for (const [dial, to] of ["a", "b", "c"].entries()) peer.dial(dial, to);
      }
      world.run(1000);
      for (const peer of peers) {
        for (let conn = 1; conn <= 4; conn++) peer.send(conn, "x", { ack: true });
      }
      world.run(150);
      peers[1]?.crash();
      world.run(10_000);
      return world.transcript;
    };
    expect(play(7)).toEqual(play(7));
    expect(play(7)).not.toEqual(play(8));
  });

  it("uses a link's own latency", () => {
    const world = new World();
    const [alice] = [world.endpoint("alice"), world.endpoint("bob")];
    world.network.setLink("alice", "bob", { latencyMs: { min: 1000, max: 1000 }, lossProbability: 0 });
    alice.dial(1, "bob");
    world.run(5000);
    expect(world.transcript).toEqual(["1000 bob up 1 alice", "2000 alice up 1 bob"]);
  });
});
