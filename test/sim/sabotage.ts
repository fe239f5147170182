// One bug for each thing the simulator checks, to show that it would see it. They are put between the core and its ports
// of one host: the product has no such switch.
import type { MemoryStore } from "../../src/adapters/store-memory.ts";
import { encodeFrame } from "../../src/core/gossip/frames.ts";
import type { Node } from "../../src/core/node.ts";
import type { StoreOp } from "../../src/ports/store.ts";
import type { Transport } from "../../src/ports/transport.ts";
import { passedOn } from "./faults.ts";
import type { FrameReader } from "./frames.ts";

/** What each bug does, and so which check must see it. */
export const BUGS = {
  /** Allocations are not read back after a restart: an address is handed out again (addresses). */
  "forgets-allocations": "is held by",
  /** A range of somebody else is passed on as one's own (owners). */
  usurps: "which is not its own",
  /** A gift is forgotten by its giver's disk in a crash (owners). */
  "forgets-gifts": "believes to own",
  /** A ring is told before it is written (told). */
  "tells-before-disk": "before it was on its disk",
  /** Rings of others are not taken in (quiet: rings equal). */
  "deaf-to-rings": "ring of",
  /** A range is given to a peer that never was (quiet: every position owned). */
  "gives-to-nobody": "which is no peer",
  /** A released address is never free again (quiet: free space allocatable). */
  "keeps-released": "is held for no container",
  /** Endpoints of others are not taken in (quiet: every container known everywhere). */
  "deaf-to-endpoints": "lacks",
} as const;
export type Bug = keyof typeof BUGS;

/** A store that answers at once. */
export type DirectStore = Omit<MemoryStore, "crash">;

export function sabotagedStore(bug: Bug | undefined, inner: DirectStore): DirectStore {
  const later: StoreOp[] = [];
  return {
    load: async () => {
      const records = await inner.load();
      if (bug !== "forgets-allocations") return records;
      return new Map([...records].filter(([key]) => !key.startsWith("allocation/")));
    },
    write(ops, options) {
      if (bug === "tells-before-disk") {
        // Written with the next batch: everything told in between is told too early.
        const rings = ops.filter((op) => op.key.startsWith("ring/"));
        const now = [...later.splice(0), ...ops.filter((op) => !op.key.startsWith("ring/"))];
        later.push(...rings);
        return now.length === 0 ? undefined : inner.write(now, options);
      }
      if (bug === "forgets-gifts" && isGift(ops)) return undefined;
      return inner.write(ops, options);
    },
    close: () => inner.close(),
  };
}

/** Of every second ring record this disk knows nothing: among them are gifts. */
let gifts = 0;
const isGift = (ops: readonly StoreOp[]): boolean =>
  ops.some((op) => op.key.startsWith("ring/")) && gifts++ % 2 === 1;

export function sabotagedTransport(
  bug: Bug | undefined,
  node: Node,
  inner: Transport,
  reader: FrameReader,
): Transport {
  const { name } = node.config;
  switch (bug) {
    case "usurps":
      return {
        ...passedOn(inner),
        send(conn, text, options) {
          const frame = reader.decode(text);
          if (frame === "unknown" || "refused" in frame || frame.t !== "ring")
            inner.send(conn, text, options);
          else {
            const ranges = frame.ranges.map((range) => {
              const [start, end, version, owner, ...rest] = range;
              return owner === name ? range : ([start, end, version + 1, name, ...rest] as typeof range);
            });
            inner.send(conn, encodeFrame({ ...frame, ranges }), options);
          }
        },
      };
    case "gives-to-nobody":
      return {
        ...passedOn(inner),
        send(conn, text, options) {
          const frame = reader.decode(text);
          const asks =
            frame !== "unknown" && !("refused" in frame) && frame.t === "to" && frame.body.k === "ask";
          inner.send(conn, asks ? encodeFrame({ ...frame, from: "nobody" }) : text, options);
        },
      };
    case "deaf-to-rings":
      return deafTo(inner, `{"t":"ring"`);
    case "deaf-to-endpoints":
      return deafTo(inner, `{"t":"push","channel":"endpoints"`);
    case undefined:
    case "forgets-allocations":
    case "forgets-gifts":
    case "tells-before-disk":
    case "keeps-released":
      return inner;
  }
}

function deafTo(inner: Transport, beginning: string): Transport {
  return {
    ...passedOn(inner),
    onEvent: (listener) =>
      inner.onEvent((event) => {
        if (event.type !== "conn-frame" || !event.text.startsWith(beginning)) listener(event);
      }),
  };
}

/** Between the core's own parts, where no port is. */
export function sabotagedNode(_bug: Bug | undefined, _node: Node): void {}
