// One bug for each thing the simulator checks, to show that it would see it. They are put between the core and its ports
// of one host, or of all: the product has no such switch.
import type { MemoryStore } from "../../src/adapters/store-memory.ts";
import { decodeBody, encodeFrame, type UnicastBody } from "../../src/core/gossip/frames.ts";
import type { Node } from "../../src/core/node.ts";
import type { StoreOp } from "../../src/ports/store.ts";
import type { Transport, TransportEvent } from "../../src/ports/transport.ts";
import { passedOn } from "./faults.ts";
import type { FrameReader } from "./frames.ts";

/** What each bug does, and so which check must see it. */
export const BUGS = {
  /** Allocations are not read back after a restart: an address is handed out again (addresses). */
  "forgets-allocations": "is held by",
  /** A range of somebody else is passed on as one's own (owners). */
  usurps: "which is not its own",
  /** A gift is not written down by its giver (told; R7). */
  "forgets-gifts": "before it was on its disk",
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
  /** Whose a range is, is not looked at before it is given (owners; R7). */
  "gives-what-is-not-its-own": "which is not its own",
  /** What a voter promises and accepts is not written down (votes told; R1). */
  "forgets-votes": "told its vote",
  /** Nor is what was decided (decisions told). */
  "forgets-decisions": "told the decision",
  /** A proposer takes the voters' word for given (decisions by quorum; R2). */
  "votes-for-all": "voters accepted",
  /** The heir takes what is stale without asking who stays (owners; R6). */
  "takes-unasked": "which is not its own",
  /** Decisions of others are not taken over (quiet: one cluster, one configuration). */
  "deaf-to-decisions": "not mended",
  /** Who began anew does not ask for its containers' addresses (quiet: what is free has come back). */
  "does-not-reclaim": "was not given back",
} as const;
/** One way to be wrong on purpose. */
export type Bug = keyof typeof BUGS;

/** A store that answers at once. */
export type DirectStore = Omit<MemoryStore, "crash">;

/** The store of a host with this bug; `inner` itself, as it were, when the bug is none of a store. */
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
      const forgotten = FORGOTTEN.get(bug);
      return inner.write(forgotten === undefined ? ops : ops.filter(({ key }) => key !== forgotten), options);
    },
    close: () => inner.close(),
  };
}

/** Records that are never written. */
const FORGOTTEN: ReadonlyMap<Bug | undefined, string> = new Map([
  ["forgets-votes", "vote"],
  ["forgets-decisions", "configuration"],
] as const);

/** Of every second ring record this disk knows nothing: among them are gifts. */
let gifts = 0;
const isGift = (ops: readonly StoreOp[]): boolean =>
  ops.some((op) => op.key.startsWith("ring/")) && gifts++ % 2 === 1;

/** The transport of a host that has this bug. */
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
    case "deaf-to-decisions":
      return deafTo(inner, `{"t":"config"`);
    case "votes-for-all":
      return answering(inner, node, reader, (body, to) => {
        const voter = node.facts().council.configuration?.voters.find((one) => one.name === to);
        if (voter === undefined || (body.k !== "prepare" && body.k !== "accept")) return undefined;
        const { epoch, round, cluster } = body;
        const k = body.k === "prepare" ? "promise" : "accepted";
        return { k, epoch, round, cluster, incarnation: voter.incarnation };
      });
    case "takes-unasked":
      return answering(inner, node, reader, (body) => {
        if (body.k !== "fence") return undefined;
        const { cluster, epoch, id } = body;
        return { k: "fenced", cluster, epoch, id, ranges: [] };
      });
    case "does-not-reclaim":
      return answering(inner, node, reader, (body) =>
        body.k === "ask" && body.held === true ? "nothing" : undefined,
      );
    case undefined:
    case "gives-what-is-not-its-own":
    case "forgets-votes":
    case "forgets-decisions":
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

/** Messages of the host that are not sent, but answered in the name of whom they are for. */
function answering(
  inner: Transport,
  node: Node,
  reader: FrameReader,
  answer: (body: UnicastBody, to: string) => object | "nothing" | undefined,
): Transport {
  const { name } = node.config;
  let hear: ((event: TransportEvent) => void) | undefined;
  return {
    ...passedOn(inner),
    onEvent(listener) {
      hear = listener;
      inner.onEvent(listener);
    },
    send(conn, text, options) {
      const frame = text.startsWith(`{"t":"to"`) ? reader.decode(text) : "unknown";
      const own = frame !== "unknown" && !("refused" in frame) && frame.t === "to" && frame.from === name;
      const asked = own ? decodeBody(frame.body) : undefined;
      const body = own && asked !== undefined ? answer(asked, frame.to) : undefined;
      if (!own || body === undefined) inner.send(conn, text, options);
      else if (body !== "nothing") {
        const back = JSON.stringify({ t: "to", from: frame.to, to: name, hops: 16, body });
        hear?.({ type: "conn-frame", conn, text: back });
      }
    },
  };
}

/** Between the core's own parts, where no port is. */
export function sabotagedNode(bug: Bug | undefined, node: Node): void {
  if (bug !== "gives-what-is-not-its-own") return;
  for (const pool of node.facts().pools) {
    const give = pool.give.bind(pool);
    pool.give = (wanted, to, ...rest) => {
      const { ring } = pool;
      const others = ring?.within(wanted).find(({ owner }) => owner !== to && owner !== node.config.name);
      const gift = others && ring?.merge([{ ...others, owner: to, version: others.version + 1 }]);
      return gift ?? give(wanted, to, ...rest);
    };
  }
}
