// The datapath of a host that has just begun anew: what the new node wants, and what the former one knew beyond that. Hosts
// that move together hear of each other's containers again only when those have their addresses back; until then no packet
// of theirs is to be lost.
import type { DatapathState } from "../core/datapath/state.ts";

/** Where both say something of one MAC or address, `now` is right. Nothing else in the kernel is taken away. */
export function withFormer(now: DatapathState, former: DatapathState): DatapathState {
  return {
    ...now,
    bridge: { ...now.bridge, mtu: Math.min(now.bridge.mtu, former.bridge.mtu) },
    flood: [...new Set([...now.flood, ...former.flood])].sort(),
    forwarding: merged(now.forwarding, former.forwarding, ({ mac }) => mac),
    neighbours: merged(now.neighbours, former.neighbours, ({ address }) => address),
    routes: [...new Set([...now.routes, ...former.routes])],
    prune: false,
  };
}

function merged<T>(now: readonly T[], former: readonly T[], keyOf: (entry: T) => string): readonly T[] {
  const known = new Set(now.map(keyOf));
  return [...now, ...former.filter((entry) => !known.has(keyOf(entry)))];
}
