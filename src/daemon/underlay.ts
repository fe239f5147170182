// Follows the addresses of this host while the daemon runs: which one the others reach it at, what its interface carries,
// and when that changes. Looks at a list and at one number, which cost next to nothing, and asks the kernel for the rest
// only when they differ. What follows is the core's decision.
import { networkInterfaces } from "node:os";
import { parseAddress } from "../core/address/cidr.ts";
import type { HostFacts } from "../ports/kernel.ts";
import type { Logger } from "../ports/logger.ts";

/** A change is to be followed within seconds; a look takes some 0.2 ms. */
const LOOK_MS = 2_000;

/** What is watched, and who is told. */
export interface UnderlayWatch {
  /** The overlay's own, whose addresses carry no underlay. */
  readonly bridge: string;
  inspect(): Promise<HostFacts>;
  /** MTU of an interface (Kernel.linkMtu). */
  linkMtu(name: string): Promise<number | undefined>;
  /** The address the others are told now. */
  current(): string;
  /** The host has these addresses now, and is reached at `underlay`, whose interface has `mtu`; absent: not known. */
  changed(addresses: readonly string[], underlay: string, mtu?: number): void;
  readonly log: Logger;
}

/** An address of this host, and what its interface carries. */
type Place = { readonly address: string; readonly mtu: number };

/** The address others are to reach this host at: IPv4 first, that is what most peers have; then that of the default route. */
export function preferredUnderlay(
  facts: Pick<HostFacts, "addresses" | "defaultSource">,
  bridge: string,
): Place | undefined {
  const own = facts.addresses.filter(({ dev }) => dev !== bridge);
  const candidates = [...(facts.defaultSource === undefined ? [] : [facts.defaultSource]), ...own];
  return candidates.find(({ address }) => parseAddress(address)?.family === 4) ?? candidates[0];
}

/** What is looked at each time. */
interface Look {
  /** All addresses of interfaces that are up, as text to compare. */
  list(): string;
  /** Name of the interface with an address. */
  interfaceAt(address: string): string | undefined;
}

/** Looks until it is closed. */
export function watchUnderlay(watch: UnderlayWatch, look: Look = OF_THIS_HOST): { close(): void } {
  let seen = look.list();
  let seenMtu: number | undefined;
  let busy = false;
  const check = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      const list = look.list();
      const name = look.interfaceAt(watch.current());
      const mtu = name === undefined ? undefined : await watch.linkMtu(name);
      if (list === seen && mtu === seenMtu) return;
      const facts = await watch.inspect();
      seen = list;
      seenMtu = mtu;
      const current = watch.current();
      // An address that is still there stays the one: another interface that comes up changes nothing.
      const there = facts.addresses.find(({ dev, address }) => dev !== watch.bridge && address === current);
      const place = there ?? preferredUnderlay(facts, watch.bridge);
      const addresses = facts.addresses.map(({ address }) => address);
      watch.changed(addresses, place?.address ?? current, place?.mtu);
    } catch (error) {
      watch.log.warn("the addresses of this host could not be read; they are read again", { error });
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void check(), LOOK_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

const OF_THIS_HOST: Look = {
  list: () =>
    Object.entries(networkInterfaces())
      .flatMap(([name, list = []]) => list.map(({ address }) => `${name} ${address}`))
      .sort()
      .join(),
  interfaceAt: (wanted) =>
    Object.entries(networkInterfaces()).find(([, list = []]) =>
      list.some(({ address }) => address === wanted),
    )?.[0],
};
