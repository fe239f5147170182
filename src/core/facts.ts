// What status, problems and the simulator read of a node, beyond its own views.
import type { FormerLost } from "./cluster.ts";
import type { Instant } from "./effects.ts";
import type { Council } from "./ipam/council.ts";
import type { Contested, Foreign } from "./ipam/membership.ts";
import type { Pool } from "./ipam/pool.ts";
import type { Taking } from "./ipam/takeover.ts";
import type { Mesh } from "./mesh/mesh.ts";

/** Live objects: read, never changed. */
export interface NodeFacts {
  readonly mesh: Mesh;
  readonly pools: readonly Pool[];
  readonly startedAt: Instant;
  readonly underlay: string;
  readonly unreachable: ReadonlyMap<string, Instant>;
  /** What to call a peer in a command. */
  readonly callName: (name: string) => string;
  readonly council: Council;
  /** What of a universe waits for the heir. */
  readonly taking: (universe: number) => Taking | undefined;
  /** Addresses of containers here that others hold since this host began anew. */
  readonly lost: readonly FormerLost[];
  /** Addresses held here that others have in use from before they began anew. */
  readonly contested: (now: Instant) => readonly Contested[];
  readonly foreign: ReadonlyMap<string, Foreign>;
  readonly fullSince: (now: Instant) => Instant | undefined;
  readonly cloneSince: (now: Instant) => Instant | undefined;
  /** Who that is, for people, as far as it is known. */
  readonly clone: string | undefined;
  readonly whyNoRing: () => { message: string; hint: string };
}
