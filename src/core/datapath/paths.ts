// The ways packets take to the other hosts, as far as they can be probed: whom to ask for an echo, of which size. And what
// was found out about each, as data; who finds it out is src/daemon/paths.

import { linkLocalOf } from "../address/mac.ts";
import type { Instant } from "../effects.ts";
import type { Endpoint } from "../endpoints/endpoint.ts";
import { bridgeMacOf } from "../mesh/peer-record.ts";
import { IPV6_MIN_MTU, othersOf, type PlanInput } from "./plan.ts";

/** The way to one peer. */
export interface PathTarget {
  readonly peer: string;
  /** Where its VXLAN packets go to. */
  readonly underlay: string;
  /** Bytes of the largest IP packet a container may send. */
  readonly mtu: number;
  /** Who answers echoes there, without zone: its bridge's link-local address, or else its exposed IPv4 one. */
  readonly address?: string;
  /** Why there is nobody to ask. */
  readonly lacking?: string;
}

/** What is known of a way. */
export interface PathState {
  /** Packets of `mtu` bytes arrive and are answered; they do not; or nobody can tell. */
  readonly verified: "yes" | "no" | "unverified";
  readonly since: Instant;
  readonly mtu: number;
  /** Of the last full-size echo. */
  readonly rttMs?: number;
  /** With "no": small packets are answered, or nothing is. */
  readonly fault?: "drops-large" | "no-answer";
  /** With "drops-large", once it is found: packets of so many bytes are answered, larger ones not. */
  readonly passes?: number;
  /** With "unverified": why. */
  readonly reason?: string;
}

/** `mtu`: the overlay's. */
export type PathInput = Pick<PlanInput, "self" | "underlay" | "mtu" | "peers" | "exposed"> & {
  readonly endpoints: ReadonlyMap<string, Endpoint>;
};

/** The way to every other peer. */
export function pathsOf(input: PathInput): readonly PathTarget[] {
  const { mtu } = input;
  const four = mtu < IPV6_MIN_MTU ? exposedIpv4(input.endpoints) : undefined;
  const exposed = input.exposed.some(({ cidr }) => !cidr.includes(":"));
  return othersOf(input).map(([peer, record]) => {
    const { underlay } = record;
    if (four === undefined) {
      const address = linkLocalOf(bridgeMacOf(peer, record));
      return { peer, underlay, mtu, ...(address === undefined ? {} : { address }) };
    }
    const address = four.get(peer);
    if (exposed && address !== undefined) return { peer, underlay, mtu, address };
    const where = exposed ? "there" : "here";
    const lacking = `with an MTU below ${IPV6_MIN_MTU} bridges have no IPv6: run weave expose ${where}`;
    return { peer, underlay, mtu, lacking };
  });
}

/** Peer -> an IPv4 address of its bridge. */
function exposedIpv4(endpoints: ReadonlyMap<string, Endpoint>): Map<string, string> {
  const found = new Map<string, string>();
  for (const [address, { peer, label }] of endpoints)
    if (label === "expose" && !address.includes(":") && !found.has(peer)) found.set(peer, address);
  return found;
}
