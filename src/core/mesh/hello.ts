// Who may be a peer: a decision over two introductions, with its reason.

import type { CloseReason } from "../connection.ts";
import { type Hello, PROTOCOL } from "../gossip/frames.ts";

/** What this process says of itself; the nonce differs per connection. */
export interface Introduction {
  readonly t: "hello";
  readonly protocol: { min: number; max: number };
  readonly software: string;
  readonly name: string;
  readonly nickname: string;
  readonly uid: string;
  readonly incarnation: string;
  readonly universes: string[];
  readonly vni: number;
  readonly vxlanPort: number;
  readonly capabilities: string[];
}

/**
 * What this host says of itself on every connection; what differs from one to the next is added by Mesh. Given more than
 * that (a whole configuration), it says no more: the rest is nobody's business.
 */
export function introduction(facts: {
  software: string;
  name: string;
  nickname: string;
  uid: string;
  incarnation: string;
  universes: readonly string[];
  vni: number;
  vxlanPort: number;
}): Introduction {
  const { software, name, nickname, uid, incarnation, universes, vni, vxlanPort } = facts;
  return {
    t: "hello",
    protocol: PROTOCOL,
    software,
    name,
    nickname,
    uid,
    incarnation,
    universes: [...universes],
    vni,
    vxlanPort,
    capabilities: [],
  };
}

/** Told to both of two hosts with one name. */
export function cloneObjection(name: string): CloseReason {
  return {
    code: "clone",
    message: `two hosts use the peer name ${name} (a copied data directory?); launch one with another --data-dir`,
  };
}

/** What a peer said when it turned this one away: in full, where it speaks of our name, which a close frame may have cut. */
export function inFull(reason: CloseReason, ours: string): CloseReason {
  switch (reason.code) {
    case "clone":
      return cloneObjection(ours);
    case "name-taken":
      return nameTaken(ours);
    default:
      return reason;
  }
}

/** A peer of that name is known by another disk: this one lost it, or never was that peer. */
export function nameTaken(name: string): CloseReason {
  return {
    code: "name-taken",
    message: `the peer name ${name} belongs to another data directory; it may be lost, but its ranges are still its own`,
  };
}

/** Why `theirs` cannot be our peer, or undefined when it can. Both sides come to the same verdict. */
export function objection(ours: Introduction, theirs: Hello): CloseReason | undefined {
  if (theirs.uid === ours.uid) return { code: "self", message: "this is the same daemon" };
  if (theirs.name === ours.name) {
    return cloneObjection(ours.name);
  }
  if (theirs.protocol.min > ours.protocol.max || theirs.protocol.max < ours.protocol.min) {
    return {
      code: "protocol",
      message: `protocol ${span(theirs.protocol)} of ${theirs.nickname} and ${span(ours.protocol)} here do not meet; upgrade the older`,
    };
  }
  if (theirs.universes.join() !== ours.universes.join()) {
    return {
      code: "range-mismatch",
      message: `${theirs.nickname} has --ipalloc-range ${theirs.universes.join()}, ${ours.nickname} has ${ours.universes.join()}; all must have the same`,
    };
  }
  if (theirs.vni !== ours.vni || theirs.vxlanPort !== ours.vxlanPort) {
    return {
      code: "overlay-mismatch",
      message: `${theirs.nickname} uses VXLAN ${theirs.vni} on port ${theirs.vxlanPort}, ${ours.nickname} ${ours.vni} on ${ours.vxlanPort}`,
    };
  }
  return undefined;
}

const span = ({ min, max }: { min: number; max: number }): string =>
  min === max ? `${min}` : `${min}..${max}`;
