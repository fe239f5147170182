// Who can be reached through whom: breadth first over connections both ends vouch for. Deterministic.

export interface Topology {
  /** Peers with a path, without self. */
  readonly reachable: ReadonlySet<string>;
  /** Destination -> neighbour to hand a message to. */
  readonly nextHop: ReadonlyMap<string, string>;
}

/** `links`: what each other peer says it is connected to; `neighbours`: our own live links, which need no second word. */
export function explore(
  self: string,
  neighbours: readonly string[],
  links: ReadonlyMap<string, readonly string[]>,
): Topology {
  const said = new Map([...links].map(([peer, names]) => [peer, new Set(names)]));
  const nextHop = new Map<string, string>();
  let frontier = [...neighbours].sort();
  for (const name of frontier) nextHop.set(name, name);
  while (frontier.length > 0) {
    const further: string[] = [];
    for (const peer of frontier) {
      for (const name of [...(said.get(peer) ?? [])].sort()) {
        if (name === self || nextHop.has(name) || said.get(name)?.has(peer) !== true) continue;
        nextHop.set(name, nextHop.get(peer) ?? peer);
        further.push(name);
      }
    }
    frontier = further;
  }
  return { reachable: new Set(nextHop.keys()), nextHop };
}
