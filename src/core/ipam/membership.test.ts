// What a host makes of ring frames, seen from its neighbours: a whole node, whose neighbours are played by hand.
import { expect, it } from "vitest";
import { plainConfig } from "../../../test/support/node-config.ts";
import type { Effect } from "../effects.ts";
import { decodeFrame, encodeFrame, type Frame, type FrameOf } from "../gossip/frames.ts";
import { LAZY_DELAY_MS } from "../gossip/gossip.ts";
import { introduction } from "../mesh/hello.ts";
import { Node } from "../node.ts";
import { seededRandom } from "../random.ts";
import { readState } from "../records.ts";

const RANGE = "10.32.0.0/24";
const CONNS = { bob: 1, carol: 2 } as const;
type Neighbour = keyof typeof CONNS;

/** Alice, who founded alone; bob and carol belong to her cluster. */
class Alice {
  readonly node = new Node(
    plainConfig("alice", RANGE, { uid: "uid of alice" }),
    readState(new Map()),
    seededRandom(1),
  );
  readonly events: string[] = [];
  #sent: { readonly to: number; readonly frame: Frame }[] = [];

  constructor() {
    this.#take(this.node.start(0), 0);
    for (const name of ["bob", "carol"] as const) {
      const conn = CONNS[name];
      const where = { remoteAddress: "192.0.2.2", remotePort: 1, localAddress: "192.0.2.1" };
      this.#take(this.node.handle({ type: "conn-up", conn, ...where }, 0), 0);
      const facts = { ...plainConfig(name, RANGE), uid: `uid of ${name}`, universes: [RANGE] };
      this.hears(name, { ...introduction(facts), nonce: "00000000", ...this.era, joined: 1 }, 0);
    }
  }

  get era(): { readonly cluster: string; readonly epoch: number } {
    return { cluster: this.node.cluster ?? "", epoch: 1 };
  }

  hears(from: Neighbour, frame: Frame, now: number): void {
    const text = encodeFrame(frame);
    this.#take(this.node.handle({ type: "conn-frame", conn: CONNS[from], text }, now), now);
  }

  /** Time passes. The ranges she tells until then, by the neighbour she tells them. */
  tells(until: number): { readonly [name in Neighbour]: readonly FrameOf<"ring">["ranges"][] } {
    this.#take(this.node.handle({ type: "deadline", scheduled: until }, until), until);
    const sent = this.#sent.splice(0);
    const rings = (conn: number) =>
      sent.flatMap(({ to, frame }) => (to === conn && frame.t === "ring" ? [frame.ranges] : []));
    return { bob: rings(CONNS.bob), carol: rings(CONNS.carol) };
  }

  /** Each frame has left as soon as it is sent. */
  #take(effects: readonly Effect[], now: number): void {
    for (const effect of effects) {
      if (effect.type === "event") this.events.push(effect.event.kind);
      if (effect.type !== "send") continue;
      const frame = decodeFrame(effect.text);
      if (frame === "unknown" || "refused" in frame) throw new Error(effect.text);
      this.#sent.push({ to: effect.conn, frame });
      if (effect.ack) this.#take(this.node.handle({ type: "conn-sent", conn: effect.conn }, now), now);
    }
  }
}

it("a frame that is no ring tells a donor nothing of what became of its gift", () => {
  const alice = new Alice();
  alice.tells(10);
  const body = { k: "ask", ...alice.era, start: 0, end: 256, id: 1 } as const;
  alice.hears("bob", { t: "to", from: "bob", to: "alice", hops: 16, body }, 20);
  const ofALaterEpoch = [[0, 256, 9, "bob", 999]] satisfies FrameOf<"ring">["ranges"];
  alice.hears("bob", { t: "ring", ...alice.era, ranges: ofALaterEpoch }, 30);
  expect(alice.events.at(-1)).toBe("frame-refused");
  expect(alice.tells(20 + LAZY_DELAY_MS - 1)).toEqual({ bob: [], carol: [] });
  const gift = [[128, 256, 2, "bob", 1]]; // bob may not have got the answer
  expect(alice.tells(20 + LAZY_DELAY_MS)).toEqual({ bob: [gift], carol: [gift] });
});
