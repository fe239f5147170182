// Who can be reached through whom: breadth first over connections both ends vouch for. Deterministic.

export interface Topology {
  /** Peers with a path, without self. */
  readonly reachable: ReadonlySet<string>;
  /** Destination -> neighbour to hand a message to. */
  readonly nextHop: ReadonlyMap<string, string>;
}

/** What each peer says it is connected to. */
export type Connections = ReadonlyMap<string, readonly string[]>;

/** So many neighbours a peer passes a change on to, where the connections allow it: no hub pays for all. */
const TREE_FANOUT = 8;

/** `links`: what each other peer says it is connected to; `neighbours`: our own live links, which need no second word. */
export function explore(self: string, neighbours: readonly string[], links: Connections): Topology {
  const nextHop = new Map<string, string>();
  let frontier = [...neighbours].sort();
  for (const name of frontier) nextHop.set(name, name);
  while (frontier.length > 0) {
    const further: string[] = [];
    for (const peer of frontier) {
      const hop = nextHop.get(peer) ?? peer;
      for (const name of vouched(links, peer)) {
        if (name === self || nextHop.has(name)) continue;
        nextHop.set(name, hop);
        further.push(name);
      }
    }
    frontier = further;
  }
  return { reachable: new Set(nextHop.keys()), nextHop };
}

/**
 * Our neighbours on the tree along which changes are passed on: breadth first from the peer with the least name of those
 * reachable. Whoever knows the same connections comes to the same tree.
 */
export function treeNeighbours(
  self: string,
  reachable: ReadonlySet<string>,
  links: Connections,
): ReadonlySet<string> {
  let root = self;
  for (const name of reachable) if (name < root) root = name;
  const parents = new Map<string, string | undefined>([[root, undefined]]);
  const grow = (order: readonly string[], fanout: number): void => {
    const queue = [...order];
    for (let at = 0; at < queue.length; at++) {
      const peer = queue[at] ?? "";
      let children = 0;
      for (const name of vouched(links, peer)) {
        if (parents.has(name)) continue;
        if (++children > fanout) break;
        parents.set(name, peer);
        queue.push(name);
      }
    }
  };
  grow([root], TREE_FANOUT);
  // Whoever can only be reached through peers that have enough.
  if (parents.size <= reachable.size) grow([...parents.keys()], Number.POSITIVE_INFINITY);
  const near = new Set<string>();
  const parent = parents.get(self);
  if (parent !== undefined) near.add(parent);
  for (const [name, through] of parents) if (through === self) near.add(name);
  return near;
}

/** Those a peer is connected to who say so as well, in the order in which it says so. */
function vouched(links: Connections, peer: string): readonly string[] {
  const said = links.get(peer) ?? [];
  return said.filter((name) => links.get(name)?.includes(peer) === true);
}
