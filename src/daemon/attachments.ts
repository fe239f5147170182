// The Attachments port for the CNI verbs, on the core's requests.

import { WeaveError } from "../core/errors.ts";
import type { Node } from "../core/node.ts";
import type { BootMoment, Reply } from "../core/requests.ts";
import type { Attachments } from "../ports/attachments.ts";
import type { DatapathFollower } from "./follower.ts";
import type { Runner } from "./runner.ts";

export interface BootClock {
  /** Now, as seconds since boot tell it. */
  moment(): BootMoment;
}

export function createAttachments(
  runner: Runner,
  node: Node,
  follower: DatapathFollower,
  boot: BootClock,
): Attachments {
  return {
    readiness: () => node.readiness(),
    mtu: () => node.datapath().bridge.mtu,
    bridge: () => node.config.bridgeName,
    find: (key) => node.find(key),
    list: (network) => node.attachments().filter((a) => a.network === network),
    async allocate(key, wish, signal) {
      const moment = boot.moment();
      const reply = accepted(await runner.request({ kind: "allocate", key, moment, ...wish }, signal));
      if (reply.attachment === undefined) throw new Error("allocated without an attachment");
      return reply.attachment;
    },
    async gateways(subnet, signal) {
      const there = node.exposedIn(subnet);
      if (there.length > 0) return there;
      const request = { kind: "expose", addresses: [], masquerade: true } as const;
      const { addresses } = accepted(
        await runner.request(subnet === undefined ? request : { ...request, subnet }, signal),
      );
      await follower.settled(); // the gateway must answer before a container asks for it
      return addresses ?? [];
    },
    async commit(key, facts) {
      accepted(await runner.request({ kind: "commit", key, facts }));
    },
    async release(key) {
      return accepted(await runner.request({ kind: "release", key })).attachment;
    },
  };
}

/** A reply, or its refusal as an error. */
export function accepted(reply: Reply): Extract<Reply, { ok: true }> {
  if (reply.ok) return reply;
  throw new WeaveError(reply.code, reply.message, { hint: reply.hint });
}
