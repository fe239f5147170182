// What one change costs: characters on each connection, and the time until everybody knows it. In a world that is otherwise
// quiet.
import { MISMATCH_PATIENCE_MS } from "../../src/core/gossip/gossip.ts";
import type { Host } from "./host.ts";
import type { World } from "./world.ts";

/** What happens, who knows of it, and what is left out. */
type Change = [change: () => void, isKnown: (host: Host) => boolean, uncounted?: readonly string[]];

/** Bytes are characters: names and addresses are ASCII. */
export interface Cost {
  /** Of the connection that carried most, both directions together. */
  readonly mostOnOneLink: number;
  readonly total: number;
  /** Frames sent because two sides differed: without loss, there is nothing to repair. */
  readonly repairs: number;
  /** Until the last host had it, simulated; undefined when not all had it in time. */
  readonly ms: number | undefined;
}

/** Later it may be a comparison that brings it: each connection compares every 10 s. */
const PATIENCE_MS = 9_000;
const STEP_MS = 10;
/**
 * What lazy links say comes a little later, and what fingerprints that crossed the change would lead to. Much later comes
 * tidying, which is changes of its own.
 */
const AFTERWARDS_MS = 2 * MISMATCH_PATIENCE_MS + 100;

/**
 * Let `change` happen, and see it arrive: `isKnown` says whether a host has it. `uncounted`: kinds of frames that are about
 * another change that comes with it.
 */
export async function costOf(
  world: World,
  change: () => void,
  isKnown: (host: Host) => boolean,
  uncounted: readonly string[] = [],
): Promise<Cost> {
  const { measures, schedule } = world;
  measures.uncounted = new Set(uncounted);
  const since = schedule.now();
  measures.links = new Map();
  measures.repairs = 0;
  change();
  let waiting = [...world.hosts];
  let ms: number | undefined;
  while (ms === undefined && schedule.now() - since < PATIENCE_MS) {
    await world.run(STEP_MS);
    waiting = waiting.filter((host) => !isKnown(host));
    if (waiting.length === 0) ms = schedule.now() - since;
  }
  await world.run(AFTERWARDS_MS);
  const links = perLink(world);
  measures.links = undefined;
  return {
    mostOnOneLink: Math.max(0, ...links),
    total: links.reduce((sum, chars) => sum + chars, 0),
    repairs: measures.repairs,
    ms,
  };
}

/** Characters by connection, whoever sent them. */
function perLink({ hosts, measures }: World): readonly number[] {
  const sums = new Map<string, number>();
  for (const host of hosts)
    for (const [conn, chars] of measures.links?.get(host.id) ?? []) {
      const other = host.node?.facts().mesh.link(conn)?.peer?.name ?? `${host.peerName}'s ${conn}`;
      const key = [host.peerName, other].sort().join(" ");
      sums.set(key, (sums.get(key) ?? 0) + chars);
    }
  return [...sums.values()];
}

/** A container on a host, and who knows of it. */
export function addition(host: Host, container: string): Change {
  return [
    () => void host.add(container),
    (other) => {
      const address = host.containers.get(container)?.split("/")[0];
      return address !== undefined && other.node?.endpoints().byAddress.has(address) === true;
    },
  ];
}

/** An address that one host owns and another has a container claim: question, answer and gift. The container is another change. */
export function claim(donor: Host, taker: Host, container: string): Change {
  const pool = donor.node?.facts().pools[0];
  const offset = (pool?.owned[0]?.end ?? 2) - 2;
  const address = pool?.universe.addressAt(offset) ?? "";
  return [
    () => void taker.add(container, { addresses: [address] }),
    ({ node }) => node?.facts().pools[0]?.ring?.ownerOf(offset) === taker.peerName,
    ["push", "have", "want"],
  ];
}
