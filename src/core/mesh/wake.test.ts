// A whole node that was stopped and wakes: what others sent meanwhile may be read before any deadline is looked at.
import { expect, it } from "vitest";
import { plainConfig } from "../../../test/support/node-config.ts";
import type { Effect, Input } from "../effects.ts";
import { encodeFrame } from "../gossip/frames.ts";
import { Node } from "../node.ts";
import { seededRandom } from "../random.ts";
import { readState } from "../records.ts";
import { PING_INTERVAL_MS, SILENT_MS } from "./constants.ts";
import { introduction } from "./hello.ts";

const STOPPED_MS = 40_000;

/** Alice, connected to bob and carol since 0. */
function alice(): { tell(input: Input, now: number): readonly Effect[]; node: Node } {
  const config = plainConfig("alice", "10.32.0.0/24");
  const node = new Node(config, readState(new Map()), seededRandom(1));
  node.start(0);
  const tell = (input: Input, now: number): readonly Effect[] => node.handle(input, now);
  for (const [i, name] of ["bob", "carol"].entries()) {
    const at = { remoteAddress: `192.0.2.${i + 2}`, remotePort: 1, localAddress: "192.0.2.1" };
    tell({ type: "conn-up", conn: i + 1, ...at }, 0);
    const theirs = introduction({ ...config, universes: ["10.32.0.0/24"], name, uid: `uid of ${name}` });
    tell({ type: "conn-frame", conn: i + 1, text: encodeFrame({ ...theirs, nonce: "00000000" }) }, 0);
  }
  expect(node.facts().mesh.links()).toHaveLength(2);
  return { tell, node };
}

const word = (conn: number): Input => ({
  type: "conn-frame",
  conn,
  text: encodeFrame({ t: "sums", sums: {} }),
});
const closed = (effects: readonly Effect[]): boolean => effects.some(({ type }) => type === "close");

it("keeps its links, whatever it reads first", () => {
  const { tell, node } = alice();
  expect(closed(tell(word(1), STOPPED_MS))).toBe(false);
  expect(closed(tell({ type: "deadline", scheduled: PING_INTERVAL_MS }, STOPPED_MS))).toBe(false);
  expect(node.facts().mesh.links()).toHaveLength(2);
});

it("gives up one that stays silent afterwards", () => {
  const { tell, node } = alice();
  tell(word(1), STOPPED_MS);
  for (let now = STOPPED_MS; now <= STOPPED_MS + SILENT_MS; now += 1_000) {
    tell(word(1), now);
    tell({ type: "deadline", scheduled: now }, now);
  }
  expect(
    node
      .facts()
      .mesh.links()
      .map(({ peer }) => peer.name),
  ).toEqual(["bob"]);
});

it("that was not stopped gives it up without delay", () => {
  const { tell, node } = alice();
  for (let now = 0; now <= SILENT_MS; now += 1_000) {
    tell(word(1), now);
    tell({ type: "deadline", scheduled: now }, now);
  }
  expect(node.facts().mesh.links()).toHaveLength(1);
});
