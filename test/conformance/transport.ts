// What every Transport must do, as a suite that is given a world of two peers, alice and bob, and the link between them.
// Run for the memory and the WebSocket transport by transport.test.ts.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MAX_FRAME_CHARS } from "../../src/core/connection.ts";
import type { ConnId, Transport, TransportEvent } from "../../src/ports/transport.ts";

export interface TransportWorld {
  readonly alice: Transport;
  readonly bob: Transport;
  /** How alice and bob are dialled. Bob's leads over the link that `stall` and `cut` act on. */
  readonly aliceTarget: string;
  readonly bobTarget: string;
  /** A target at which nobody listens. */
  readonly nobodyTarget: string;
  /** A new transport at bob's address, after he was shut down. Fails while the address is taken. */
  bobAgain(): Promise<Transport>;
  /** Nothing crosses the link any more and nobody is told. */
  stall(): void;
  resume(): void;
  /** The connections over the link break, at the latest when alice sends next. */
  cut(): void;
  /** Lets time pass until the fact holds; fails when it never will, or not in a time fit for the world. */
  until(what: string, fact: () => boolean): Promise<void>;
  dispose(): Promise<void>;
}

type Of<T extends TransportEvent["type"]> = Extract<TransportEvent, { type: T }>;

/** Collects a transport's events, and answers each if told how. */
class Peer {
  readonly transport: Transport;
  readonly events: TransportEvent[] = [];
  onEvent: (event: TransportEvent) => void = () => {};

  constructor(transport: Transport) {
    this.transport = transport;
    transport.onEvent((event) => {
      this.events.push(event);
      this.onEvent(event);
    });
  }

  all<T extends TransportEvent["type"]>(type: T): Of<T>[] {
    return this.events.filter((event): event is Of<T> => event.type === type);
  }

  frames(): string[] {
    return this.all("conn-frame").map((event) => event.text);
  }

  one<T extends TransportEvent["type"]>(type: T): Of<T> {
    const [event, ...more] = this.all(type);
    if (event === undefined || more.length > 0)
      throw new Error(`${more.length + Number(!!event)} events ${type}`);
    return event;
  }
}

const bye = { code: "bye", message: "had enough" };

export function transportSuite(name: string, createWorld: () => Promise<TransportWorld>): void {
  describe(`transport: ${name}`, () => {
    let world: TransportWorld;
    let alice: Peer;
    let bob: Peer;

    beforeEach(async () => {
      world = await createWorld();
      alice = new Peer(world.alice);
      bob = new Peer(world.bob);
    });
    afterEach(() => world.dispose());

    /** A connection dialled by alice: its numbers at alice and at bob. */
    async function connect(): Promise<[ConnId, ConnId]> {
      alice.transport.dial(1, world.bobTarget);
      await has("conn-up", alice, bob);
      return [alice.one("conn-up").conn, bob.one("conn-up").conn];
    }

    /** Until each peer has had such an event. */
    function has(type: TransportEvent["type"], ...peers: Peer[]): Promise<void> {
      return world.until(`a ${type} at each end`, () => peers.every((peer) => peer.all(type).length > 0));
    }

    describe("dialling", () => {
      it("tells both ends, and only the dialling one the dial", async () => {
        alice.transport.dial(17, world.bobTarget);
        await has("conn-up", alice, bob);
        const [atAlice, atBob] = [alice.one("conn-up"), bob.one("conn-up")];
        expect(atAlice.dial).toBe(17);
        expect(atBob).not.toHaveProperty("dial");
        for (const { remoteAddress, remotePort, localAddress } of [atAlice, atBob]) {
          expect(remoteAddress).toMatch(/^[0-9.]+$/);
          expect(localAddress).toMatch(/^[0-9.]+$/);
          expect(remotePort).toBeGreaterThan(0);
        }
      });

      it("makes a connection of its own each time", async () => {
        alice.transport.dial(1, world.bobTarget);
        alice.transport.dial(2, world.bobTarget);
        await world.until("two connections", () => bob.all("conn-up").length === 2);
        await world.until("two connections", () => alice.all("conn-up").length === 2);
        expect(new Set(alice.all("conn-up").map((event) => event.conn)).size).toBe(2);
        expect(new Set(bob.all("conn-up").map((event) => event.conn)).size).toBe(2);
        const dials = alice.all("conn-up").map((event) => event.dial);
        expect(dials.toSorted()).toEqual([1, 2]);
      });

      it("reaches oneself", async () => {
        alice.transport.dial(1, world.aliceTarget);
        await world.until("both ends", () => alice.all("conn-up").length === 2);
        expect(alice.all("conn-up").filter((event) => event.dial === 1)).toHaveLength(1);
      });

      it.each(["nobody", "", "no such target", "x:y:z"])("fails in words for %j", async (target) => {
        alice.transport.dial(3, target === "nobody" ? world.nobodyTarget : target);
        await has("dial-failed", alice);
        expect(alice.events).toHaveLength(1);
        expect(alice.one("dial-failed").dial).toBe(3);
        expect(alice.one("dial-failed").message).not.toBe("");
      });

      it("gives up when nothing answers", async () => {
        world.stall();
        alice.transport.dial(4, world.bobTarget);
        await has("dial-failed", alice);
        expect(alice.one("dial-failed").message).toContain("5 s");
        // Late answers must not make a connection of it.
        world.resume();
        alice.transport.dial(5, world.bobTarget);
        await has("conn-up", alice);
        expect(alice.one("conn-up").dial).toBe(5);
      });
    });

    describe("frames", () => {
      it("arrive as they were, in order, both ways", async () => {
        const [a, b] = await connect();
        const texts = [
          "",
          "plain",
          '{"json":"\\u0000\\n"}',
          "grüße 🎉 \u0000",
          ...Array.from({ length: 200 }, String),
        ];
        for (const text of texts) {
          alice.transport.send(a, text, { ack: false });
          bob.transport.send(b, `re ${text}`, { ack: false });
        }
        await world.until(
          "all frames",
          () => bob.frames().length + alice.frames().length === 2 * texts.length,
        );
        expect(bob.frames()).toEqual(texts);
        expect(alice.frames()).toEqual(texts.map((text) => `re ${text}`));
        expect(bob.all("conn-frame").every((event) => event.conn === b)).toBe(true);
      });

      it("may be sent as soon as the connection is told, and never come before it", async () => {
        for (const peer of [alice, bob]) {
          peer.onEvent = (event) => {
            if (event.type === "conn-up") peer.transport.send(event.conn, "hello", { ack: false });
          };
        }
        alice.transport.dial(1, world.bobTarget);
        await has("conn-frame", alice, bob);
        expect(alice.events.map((event) => event.type)).toEqual(["conn-up", "conn-frame"]);
        expect(bob.events.map((event) => event.type)).toEqual(["conn-up", "conn-frame"]);
      });

      it.each(["x", "€", "\ud83c\udf89"])("of the largest size pass (%s)", async (character) => {
        const [a] = await connect();
        const text = character.repeat(MAX_FRAME_CHARS / character.length);
        alice.transport.send(a, text, { ack: false });
        await has("conn-frame", bob);
        expect(bob.one("conn-frame").text === text).toBe(true);
      });

      it("beyond it end the connection", async () => {
        const [a] = await connect();
        alice.transport.send(a, "x".repeat(MAX_FRAME_CHARS + 1), { ack: false });
        await has("conn-down", alice, bob);
        expect(alice.one("conn-down").reason.code).toBe("frame-too-large");
        expect(bob.one("conn-down").reason.code).toBe("frame-too-large");
        expect(bob.frames()).toEqual([]);
      });

      it("are acknowledged when asked for, once each", async () => {
        const [a] = await connect();
        for (let i = 1; i <= 3; i++) {
          alice.transport.send(a, "loud", { ack: true });
          alice.transport.send(a, "quiet", { ack: false });
          await world.until("the acknowledgement", () => alice.all("conn-sent").length === i);
        }
        alice.transport.close(a, bye);
        await has("conn-down", alice, bob);
        expect(alice.all("conn-sent")).toEqual(Array(3).fill({ type: "conn-sent", conn: a }));
        expect(bob.all("conn-sent")).toEqual([]);
      });

      it("held back by a stalled link arrive in order when it moves again", async () => {
        const [a] = await connect();
        world.stall();
        const texts = Array.from({ length: 50 }, (_, i) => `frame ${i}`);
        for (const text of texts) alice.transport.send(a, text, { ack: false });
        world.resume();
        await world.until("all frames", () => bob.frames().length === texts.length);
        expect(bob.frames()).toEqual(texts);
      });
    });

    describe("ending a connection", () => {
      it("tells both ends the reason, after the frames sent before", async () => {
        const [a, b] = await connect();
        for (const text of ["one", "two"]) alice.transport.send(a, text, { ack: false });
        alice.transport.close(a, bye);
        await has("conn-down", alice, bob);
        expect(alice.one("conn-down")).toEqual({ type: "conn-down", conn: a, reason: bye });
        expect(bob.events.slice(1)).toEqual([
          { type: "conn-frame", conn: b, text: "one" },
          { type: "conn-frame", conn: b, text: "two" },
          { type: "conn-down", conn: b, reason: bye },
        ]);
      });

      it("works from the accepting end", async () => {
        const [, b] = await connect();
        bob.transport.close(b, bye);
        await has("conn-down", alice, bob);
        expect(alice.one("conn-down").reason).toEqual(bye);
        expect(bob.one("conn-down").reason).toEqual(bye);
      });

      it("may cut a long message but not the code", async () => {
        const [a] = await connect();
        const message = "wörtlich ".repeat(100);
        const code = "a-code-of-40-characters-is-the-longest-x";
        alice.transport.close(a, { code, message });
        await has("conn-down", alice, bob);
        const { reason } = bob.one("conn-down");
        expect(reason.code).toBe(code);
        expect(reason.message.length).toBeGreaterThan(40);
        expect(message.startsWith(reason.message.replace(/…$/, ""))).toBe(true);
        expect(alice.one("conn-down").reason).toEqual({ code, message });
      });

      it("silences it: no frame is told to who closed, and none leaves", async () => {
        const [a, b] = await connect();
        alice.transport.close(a, bye);
        alice.transport.send(a, "too late", { ack: true });
        for (let i = 0; i < 100; i++) bob.transport.send(b, "crossing", { ack: false });
        await has("conn-down", alice, bob);
        expect(alice.events.map((event) => event.type)).toEqual(["conn-up", "conn-down"]);
        expect(bob.events.map((event) => event.type)).toEqual(["conn-up", "conn-down"]);
      });

      it("happens once, however often it is asked for", async () => {
        const [a, b] = await connect();
        alice.transport.close(a, bye);
        alice.transport.close(a, { code: "again", message: "" });
        await has("conn-down", alice, bob);
        alice.transport.close(a, bye);
        alice.transport.send(a, "x", { ack: true });
        bob.transport.close(b, bye);
        alice.transport.close(4711, bye);
        alice.transport.send(4711, "x", { ack: true });
        // Something else that happens later shows that nothing came of these.
        alice.transport.dial(2, world.nobodyTarget);
        await has("dial-failed", alice);
        expect(alice.one("conn-down").reason).toEqual(bye);
        expect(bob.one("conn-down").reason).toEqual(bye);
        expect(alice.all("conn-sent")).toEqual([]);
      });

      it("from both ends at once tells each the other's reason", async () => {
        const [a, b] = await connect();
        alice.transport.close(a, { code: "from-alice", message: "" });
        bob.transport.close(b, { code: "from-bob", message: "" });
        await has("conn-down", alice, bob);
        expect(alice.one("conn-down").reason.code).toBe("from-bob");
        expect(bob.one("conn-down").reason.code).toBe("from-alice");
      });

      it("does not wait for a link that is stalled, and is told once", async () => {
        const [a, b] = await connect();
        world.stall();
        alice.transport.close(a, bye);
        alice.transport.close(a, { code: "again", message: "" });
        await has("conn-down", alice);
        bob.transport.send(b, "to a connection that is gone", { ack: false });
        bob.transport.close(b, { code: "from-bob", message: "" });
        world.resume();
        await has("conn-down", bob);
        // A dial there and back shows that what was on its way has arrived.
        alice.transport.dial(2, world.bobTarget);
        await world.until("the next connection", () => alice.all("conn-up").length === 2);
        expect(alice.one("conn-down").reason).toEqual(bye);
        expect(alice.frames()).toEqual([]);
      });

      it("is told to both when it broke", async () => {
        const [a] = await connect();
        world.cut();
        alice.transport.send(a, "never arrives", { ack: false });
        await has("conn-down", alice, bob);
        expect(alice.one("conn-down").reason.code).toBe("connection-lost");
        expect(bob.one("conn-down").reason.code).toBe("connection-lost");
        expect(alice.one("conn-down").reason.message).not.toBe("");
        expect(bob.frames()).toEqual([]);
      });

      it("is the answer to a peer that reads nothing", async () => {
        const [a] = await connect();
        world.stall();
        const megabyte = "x".repeat(1 << 20);
        for (let i = 0; i < 40; i++) alice.transport.send(a, megabyte, { ack: false });
        await has("conn-down", alice);
        expect(alice.one("conn-down").reason.code).toBe("too-slow");
        world.resume();
        await has("conn-down", bob);
        expect(bob.frames().length).toBeLessThan(40);
      });
    });

    it("never tells an event from within a call", async () => {
      let inside = false;
      const within: TransportEvent[] = [];
      for (const peer of [alice, bob]) {
        peer.onEvent = (event) => {
          if (inside) within.push(event);
        };
      }
      const call = (action: () => unknown) => {
        inside = true;
        action();
        inside = false;
      };
      call(() => alice.transport.dial(1, world.bobTarget));
      await has("conn-up", alice, bob);
      const a = alice.one("conn-up").conn;
      call(() => alice.transport.dial(2, "not a target"));
      call(() => alice.transport.send(a, "x", { ack: true }));
      await has("conn-sent", alice);
      call(() => alice.transport.send(a, "x".repeat(MAX_FRAME_CHARS + 1), { ack: true }));
      await has("conn-down", alice, bob);
      call(() => alice.transport.dial(3, world.nobodyTarget));
      let down = false;
      call(() => void alice.transport.shutdown().then(() => (down = true)));
      call(() => alice.transport.dial(4, world.bobTarget));
      await world.until("shutdown and its answers", () => down && alice.all("dial-failed").length === 3);
      expect(within).toEqual([]);
    });

    describe("shutdown", () => {
      it("ends everything, answers every dial, and frees the address", async () => {
        const [a] = await connect();
        await expect(world.bobAgain()).rejects.toMatchObject({ code: "port-in-use" });
        bob.transport.dial(9, world.nobodyTarget);
        let down = false;
        void bob.transport.shutdown().then(() => {
          down = true;
        });
        await world.until("shutdown", () => down);
        expect(bob.one("conn-down").reason.code).toBe("shutting-down");
        expect(bob.one("dial-failed").dial).toBe(9);
        await has("conn-down", alice);
        expect(alice.one("conn-down")).toMatchObject({ conn: a, reason: { code: "shutting-down" } });

        bob.transport.dial(10, world.aliceTarget);
        await world.until("the refused dial", () => bob.all("dial-failed").length === 2);
        alice.transport.dial(2, world.bobTarget);
        await has("dial-failed", alice);

        const again = new Peer(await world.bobAgain());
        alice.transport.dial(3, world.bobTarget);
        await has("conn-up", again);
      });

      it("waits for a peer that does not answer, but not for ever", async () => {
        await connect();
        world.stall();
        let down = false;
        void bob.transport.shutdown().then(() => {
          down = true;
        });
        await world.until("shutdown", () => down);
        expect(bob.one("conn-down").reason.code).toBe("shutting-down");
      });

      it("may be asked for twice", async () => {
        await connect();
        let down = 0;
        for (let i = 0; i < 2; i++) void alice.transport.shutdown().then(() => down++);
        await world.until("both shutdowns", () => down === 2);
        expect(alice.all("conn-down")).toHaveLength(1);
      });
    });

    it("refuses connections while nobody listens to events", async () => {
      let down = false;
      void bob.transport.shutdown().then(() => {
        down = true;
      });
      await world.until("shutdown", () => down);
      const deaf = await world.bobAgain();
      alice.transport.dial(1, world.bobTarget);
      await has("dial-failed", alice);
      const heard = new Peer(deaf);
      alice.transport.dial(2, world.bobTarget);
      await has("conn-up", heard, alice);
      expect(alice.one("conn-up").dial).toBe(2);
    });
  });
}
