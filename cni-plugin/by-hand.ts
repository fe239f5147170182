// `weave attach` and `weave detach`: containers an operator connects, with the same calls as those a runtime connects. Each
// subnet is an interface of its own, so that each can be taken off again: ethwe, ethwe1 ... Owns which interface is whose;
// what an ADD or DEL does is add.ts and del.ts.
import { formatCidr, networkOf, parseCidr } from "../src/core/address/cidr.ts";
import { whyNoHost } from "../src/core/address/host-address.ts";
import { WeaveError } from "../src/core/errors.ts";
import type { Attachment } from "../src/ports/attachments.ts";
import type { Netns, NetnsSource } from "../src/ports/kernel.ts";
import { type CniDeps, keyOf } from "./deps.ts";
import { CniCode, CniError } from "./errors.ts";
import type { CniRequest } from "./request.ts";

/** Network of what was attached by hand: no runtime's GC speaks of it. */
const BY_HAND = "weave-attach";
/** Weave Net's name for a container's interface. */
const IFNAME = "ethwe";
const MOST_INTERFACES = 32;

/** What an operator means to connect. */
export interface HandTarget {
  /** For `weave ps`: a container's id, or a name made from a path or process id. */
  readonly ident: string;
  /** Absent for a container that does not run; it can only be detached. */
  readonly netns?: NetnsSource;
}

/** Which addresses. */
export interface HandWish {
  /** Exactly these, with prefix, in or outside the range. */
  readonly addresses: readonly string[];
  /** One of each of these subnets of the range; "default": one of each range's default subnet. */
  readonly subnets: readonly string[];
}

/** One interface that was made, found or removed. */
export interface HandLink {
  readonly ident: string;
  readonly ifname: string;
  readonly mac?: string;
  readonly addresses: readonly string[];
}

export interface ByHand {
  /** What the target has of the wish now, what it had before included. */
  attach(target: HandTarget, wish: HandWish, signal: AbortSignal): Promise<readonly HandLink[]>;
  /** What was removed; addresses that are not attached are no error, and nothing is allocated. */
  detach(target: HandTarget, wish: HandWish, signal: AbortSignal): Promise<readonly HandLink[]>;
}

/** `run` serves one plugin call. `defaults` are the default subnets. */
export function createByHand(
  deps: CniDeps,
  run: (request: CniRequest, signal: AbortSignal) => Promise<string>,
  defaults: () => readonly string[],
): ByHand {
  const inTurn = createQueue();

  const call = async (verb: "ADD" | "DEL", key: Place, more: Partial<CniRequest>, signal: AbortSignal) => {
    try {
      await run({ ...requestFor(verb, key), ...more }, signal);
    } catch (error) {
      throw inWeaveWords(error);
    }
  };

  const withNetns = async <T>(
    source: NetnsSource | undefined,
    work: (netns: Netns | undefined) => Promise<T>,
  ): Promise<T> => {
    const netns = source === undefined ? undefined : await deps.kernel.openNetns(source);
    try {
      return await work(netns);
    } finally {
      if (netns !== undefined) await deps.kernel.closeNetns(netns);
    }
  };

  const all = (): readonly Attachment[] =>
    deps.attachments.all().filter(({ network, committed }) => network === BY_HAND && committed);

  /** A restarted container has another namespace, and nothing of ours in it. */
  const forget = async (ident: string, netns: string, signal: AbortSignal): Promise<void> => {
    const others = all().filter((one) => one.containerId === ident && one.netns !== netns);
    const dead = await deps.kernel.deadNetns(others.flatMap((one) => one.netns ?? []));
    for (const one of others)
      if (one.netns !== undefined && dead.has(one.netns)) await call("DEL", one, {}, signal);
  };

  /** A namespace goes by the name it was first called; a name that another one has is not given twice. */
  const identOf = (ident: string, netns: string): string => {
    const before = all().find((one) => one.netns === netns);
    if (before !== undefined) return before.containerId;
    return all().some((one) => one.containerId === ident) ? `netns-${netns}` : ident;
  };

  const attach = async (target: HandTarget, wish: HandWish, signal: AbortSignal) =>
    withNetns(target.netns, async (netns) => {
      if (target.netns === undefined || netns === undefined)
        throw new WeaveError("netns-missing", `${target.ident} does not run`, { hint: "start it first" });
      for (const address of wish.addresses) checkManual(address);
      await forget(target.ident, netns.id, signal);
      const ident = identOf(target.ident, netns.id);
      const has = all().filter((one) => one.netns === netns.id);
      const found = has.filter((one) => isWished(one, wish, defaults()));
      const made: Attachment[] = [];
      try {
        for (const one of lacking(wish, has, defaults())) {
          const taken = [...has, ...made].map(({ ifname }) => ifname);
          const place = { containerId: ident, ifname: freeName(taken) };
          await call("ADD", place, { ...one, netns: target.netns }, signal);
          made.push(present(deps.attachments.find(keyOf({ ...place, network: BY_HAND }))));
        }
      } catch (error) {
        for (const one of made) await call("DEL", one, {}, new AbortController().signal);
        throw error;
      }
      return [...found, ...made].map(linkOf);
    });

  const detach = async (target: HandTarget, wish: HandWish, signal: AbortSignal) =>
    withNetns(target.netns, async (netns) => {
      const has = all().filter((one) =>
        netns === undefined ? one.containerId === target.ident : one.netns === netns.id,
      );
      const gone = has.filter((one) => isWished(one, wish, defaults()));
      for (const one of gone) refuseHalf(one, wish, defaults());
      for (const one of gone) await call("DEL", one, {}, signal);
      return gone.map(linkOf);
    });

  return {
    attach: (target, wish, signal) => inTurn(() => attach(target, wish, signal)),
    detach: (target, wish, signal) => inTurn(() => detach(target, wish, signal)),
  };
}

type Place = Pick<Attachment, "containerId" | "ifname">;

function requestFor(verb: "ADD" | "DEL", { containerId, ifname }: Place): CniRequest {
  return {
    program: "weave-net",
    verb,
    version: "1.1.0",
    network: BY_HAND,
    containerId,
    ifname,
    netnsPath: "",
    netns: { error: "ENOENT" },
    cniArgs: "",
    cniPath: "",
    config: CONFIG,
    stdin: "",
  };
}

/** The network, and no way out through it: what else the container is connected to stays as it is. */
const CONFIG = { cniVersion: "1.1.0", name: BY_HAND, type: "weave-net", ipam: { routes: [] } };

/** One ADD for each subnet that the target has nothing of yet. */
function lacking(
  { addresses, subnets }: HandWish,
  has: readonly Attachment[],
  defaults: readonly string[],
): Pick<CniRequest, "manual" | "config">[] {
  const there = new Set(has.flatMap((one) => one.addresses.map(bare)));
  const bySubnet = new Map<string, string[]>();
  for (const address of addresses) {
    if (there.has(bare(address))) continue;
    const group = bySubnet.get(subnetOf(address)) ?? [];
    bySubnet.set(subnetOf(address), group);
    if (!group.includes(address)) group.push(address);
  }
  const manual = [...bySubnet.values()].map((group) => ({ manual: group, config: CONFIG }));
  const allocated = [...new Set(subnets)]
    .filter((subnet) => !has.some((one) => isOf(one, subnet, defaults)))
    .map((subnet) => ({
      config: subnet === "default" ? CONFIG : { ...CONFIG, ipam: { ...CONFIG.ipam, subnet } },
    }));
  return [...manual, ...allocated];
}

/** Whether an attachment has anything of the wish. */
function isWished(one: Attachment, { addresses, subnets }: HandWish, defaults: readonly string[]): boolean {
  const wanted = new Set(addresses.map(bare));
  return (
    one.addresses.some((address) => wanted.has(bare(address))) ||
    subnets.some((subnet) => isOf(one, subnet, defaults))
  );
}

/** An interface goes as a whole. */
function refuseHalf(one: Attachment, { addresses, subnets }: HandWish, defaults: readonly string[]): void {
  if (subnets.some((subnet) => isOf(one, subnet, defaults))) return;
  const named = new Set(addresses.map(bare));
  const others = one.addresses.filter((address) => !named.has(bare(address)));
  if (others.length === 0) return;
  throw new WeaveError(
    "bad-request",
    `${others.join(" and ")} would go, too: ${one.ifname} of ${one.containerId} has ${one.addresses.join(" and ")}`,
    { hint: "name all addresses of the interface; nothing was changed" },
  );
}

function isOf({ addresses }: Attachment, subnet: string, defaults: readonly string[]): boolean {
  const wanted = (subnet === "default" ? defaults : [subnet]).map(subnetOf);
  return addresses.some((address) => wanted.includes(subnetOf(address)));
}

function checkManual(text: string): void {
  const cidr = parseCidr(text);
  const why =
    cidr === undefined || !text.includes("/") ? "is not an address with its prefix" : whyNoHost(cidr);
  if (why === undefined) return;
  throw new WeaveError("bad-address", `${text} ${why}`, { hint: "write ADDRESS/LENGTH, as 10.2.1.1/24" });
}

function freeName(taken: readonly string[]): string {
  for (let number = 0; number < MOST_INTERFACES; number++) {
    const name = number === 0 ? IFNAME : `${IFNAME}${number}`;
    if (!taken.includes(name)) return name;
  }
  throw new WeaveError("bad-request", `the target has ${MOST_INTERFACES} interfaces of this network`, {
    hint: "detach some first",
  });
}

function linkOf({ containerId, ifname, mac, addresses }: Attachment): HandLink {
  return { ident: containerId, ifname, ...(mac === undefined ? {} : { mac }), addresses };
}

/** What an ADD has just made. */
function present(attachment: Attachment | undefined): Attachment {
  if (attachment !== undefined) return attachment;
  throw new WeaveError("cancelled", "it was detached while it was being attached");
}

/** The verbs speak CNI where a runtime's configuration is at fault. */
function inWeaveWords(error: unknown): unknown {
  if (!(error instanceof CniError)) return error;
  const code = error.code === CniCode.ifnameExists ? "ifname-exists" : "bad-request";
  return new WeaveError(code, error.message, { cause: error });
}

/** One after the other: which interface name is free depends on who came before. */
function createQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = tail.then(work);
    tail = result.catch(() => undefined);
    return result;
  };
}

const subnetOf = (text: string): string => {
  const cidr = parseCidr(text);
  return cidr === undefined ? text : formatCidr(networkOf(cidr));
};

/** Canonical, without prefix. */
const bare = (text: string): string => {
  const cidr = parseCidr(text);
  return cidr === undefined ? text : (formatCidr(cidr).split("/")[0] ?? text);
};
