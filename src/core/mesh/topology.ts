// Who can be reached through whom: breadth first over connections both ends vouch for. Deterministic.

/** What each peer says it is connected to. */
export type Connections = ReadonlyMap<string, { readonly links: readonly string[] }>;

/** So many neighbours a peer passes a change on to, where the connections allow it: no hub pays for all. */
const TREE_FANOUT = 8;

/** Peers with a path, without self. `neighbours`: our own live links, which need no second word. */
export function reachableFrom(
  self: string,
  neighbours: readonly string[],
  connections: Connections,
): ReadonlySet<string> {
  const reachable = new Set(neighbours);
  for (const peer of reachable)
    for (const name of connections.get(peer)?.links ?? [])
      if (name !== self && !reachable.has(name) && vouches(connections, name, peer)) reachable.add(name);
  return reachable;
}

/** Destination -> neighbour to hand a message to, on a shortest way. */
export function nextHops(
  self: string,
  neighbours: readonly string[],
  connections: Connections,
): ReadonlyMap<string, string> {
  const hops = new Map([...neighbours].sort().map((name): [string, string] => [name, name]));
  for (const [peer, hop] of hops)
    for (const name of connections.get(peer)?.links ?? [])
      if (name !== self && !hops.has(name) && vouches(connections, name, peer)) hops.set(name, hop);
  return hops;
}

/**
 * The tree along which changes are passed on, breadth first from `root`: each peer with a path from there, with the peer before
 * it. Whoever knows the same connections comes to the same tree.
 */
export function treeFrom(root: string, connections: Connections): ReadonlyMap<string, string | undefined> {
  const parents = new Map<string, string | undefined>([[root, undefined]]);
  let isComplete = true;
  const grow = (queue: string[], fanout: number): void => {
    for (const peer of queue) {
      let children = 0;
      for (const name of connections.get(peer)?.links ?? []) {
        if (parents.has(name) || !vouches(connections, name, peer)) continue;
        if (++children > fanout) {
          isComplete = false;
          break;
        }
        parents.set(name, peer);
        queue.push(name);
      }
    }
  };
  grow([root], TREE_FANOUT);
  // Whoever can only be reached through peers that have enough.
  if (!isComplete) grow([...parents.keys()], Number.POSITIVE_INFINITY);
  return parents;
}

/** Those next to a peer on a tree. */
export function nextTo(self: string, tree: ReadonlyMap<string, string | undefined>): ReadonlySet<string> {
  const near = new Set<string>();
  const parent = tree.get(self);
  if (parent !== undefined) near.add(parent);
  for (const [name, through] of tree) if (through === self) near.add(name);
  return near;
}

/** Whether `name` says that it is connected to `peer`, who says so itself. */
function vouches(connections: Connections, name: string, peer: string): boolean {
  return connections.get(name)?.links.includes(peer) === true;
}
