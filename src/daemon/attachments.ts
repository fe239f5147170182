// The Attachments port for the CNI verbs, on the core's requests.

import { WeaveError } from "../core/errors.ts";
import type { Node } from "../core/node.ts";
import type { Reply, Request } from "../core/requests.ts";
import type { Attachments } from "../ports/attachments.ts";
import type { Kernel } from "../ports/kernel.ts";
import { checkChosen, checkExposed } from "./config.ts";
import type { DatapathFollower } from "./follower.ts";

/** The daemon's core. Its node may be replaced at any time, so it is looked at anew in each call. */
export interface Core {
  readonly node: Pick<
    Node,
    | "readiness"
    | "overlayMtu"
    | "config"
    | "find"
    | "attachments"
    | "exposed"
    | "exposedIn"
    | "isExposed"
    | "peers"
  >;
  request(request: Request, signal?: AbortSignal): Promise<Reply>;
}

/** The port of the CNI verbs, over the core and the kernel that follows it. */
export function createAttachments(
  core: Core,
  follower: Pick<DatapathFollower, "settled" | "failures" | "repair">,
  kernel: Pick<Kernel, "inspect">,
): Attachments {
  // The kernel following the last change of bridge or firewall. Who relies on what another call has just changed waits with
  // that call: of fifty containers at once the first makes the gateway answer, and all need it.
  let following: Promise<void> = Promise.resolve();
  const follow = (): Promise<void> => {
    following = follower.settled();
    return following;
  };
  return {
    readiness(subnet) {
      const readiness = core.node.readiness(subnet);
      const [failure] = follower.failures();
      if (!readiness.ready || failure === undefined) return readiness;
      const message = `the kernel is not as containers need it: ${failure.object}: ${failure.message}`;
      return { ready: false, degraded: true, message, hint: "run: weave status" };
    },
    mtu: () => core.node.overlayMtu(),
    bridge: () => core.node.config.bridgeName,
    find: (key) => core.node.find(key),
    all: () => core.node.attachments(),
    exposed: () => core.node.exposed().map(({ cidr }) => cidr),
    async allocate(key, wish, terms, moment, signal) {
      const { universes } = core.node.config;
      if (wish.chosen !== undefined) {
        const host = await kernel.inspect();
        const there = new Set(core.node.exposed().map(({ cidr }) => cidr));
        const underlays = [...core.node.peers().values()].map(({ underlay }) => underlay);
        for (const address of wish.chosen) checkChosen(address, universes, host, underlays);
        for (const gateway of terms.gateways ?? [])
          if (!there.has(gateway)) checkExposed(gateway, universes, host);
      }
      const request = { kind: "allocate", key, moment, terms, ...wish } as const;
      const reply = accepted(await core.request(request, signal));
      if (reply.attachment === undefined) throw new Error("allocated without an attachment");
      return reply.attachment;
    },
    async gateways(subnet, signal) {
      if (core.node.isExposed(subnet)) {
        await following;
        return core.node.exposedIn(subnet);
      }
      const request = { kind: "expose", addresses: [], masquerade: true } as const;
      const { addresses } = accepted(
        await core.request(subnet === undefined ? request : { ...request, subnet }, signal),
      );
      await follow(); // the gateway must answer before a container asks for it
      return addresses ?? [];
    },
    async commit(key, facts) {
      const { attachment, changesHost } = accepted(await core.request({ kind: "commit", key, facts }));
      if (changesHost === undefined) {
        if (attachment?.masquerade !== undefined) await following;
        return;
      }
      await follow();
      const failure = follower.failures().find(({ object }) => object === "nftables");
      if (failure !== undefined && attachment?.ports !== undefined)
        throw new WeaveError("kernel", `ports of the host cannot lead to it: ${failure.message}`, {
          hint: "run: weave status",
        });
    },
    async release(key, before) {
      const request = { kind: "release", key } as const;
      const { attachment, changesHost } = accepted(
        await core.request(before === undefined ? request : { ...request, before }),
      );
      if (changesHost !== undefined) await follow();
      return attachment;
    },
    repair: () => follower.repair(),
  };
}

/** A reply, or its refusal as an error. */
export function accepted(reply: Reply): Extract<Reply, { ok: true }> {
  if (reply.ok) return reply;
  throw new WeaveError(reply.code, reply.message, { hint: reply.hint });
}
