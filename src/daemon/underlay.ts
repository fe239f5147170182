// Follows the addresses of this host while the daemon runs: which one the others reach it at, and when that changes. Looks
// at a list that costs next to nothing, and asks the kernel only when it differs. What follows is the core's decision.
import { networkInterfaces } from "node:os";
import { parseAddress } from "../core/address/cidr.ts";
import type { HostFacts } from "../ports/kernel.ts";
import type { Logger } from "../ports/logger.ts";

/** A change is to be followed within seconds; a look takes some 0.1 ms. */
const LOOK_MS = 1_000;

/** What is watched, and who is told. */
export interface UnderlayWatch {
  /** The overlay's own, whose addresses carry no underlay. */
  readonly bridge: string;
  inspect(): Promise<HostFacts>;
  /** The address the others are told now. */
  current(): string;
  /** The host has these addresses now, and is reached at `underlay`. */
  changed(addresses: readonly string[], underlay: string): void;
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

/** Looks until it is closed. */
export function watchUnderlay(watch: UnderlayWatch, look: () => string = addressList): { close(): void } {
  let seen = look();
  let busy = false;
  const check = async (): Promise<void> => {
    const now = look();
    if (now === seen || busy) return;
    busy = true;
    try {
      const facts = await watch.inspect();
      seen = now;
      const addresses = facts.addresses.map(({ address }) => address);
      const current = watch.current();
      // An address that is still there stays the one: another interface that comes up changes nothing.
      const isThere = facts.addresses.some(({ dev, address }) => dev !== watch.bridge && address === current);
      watch.changed(
        addresses,
        isThere ? current : (preferredUnderlay(facts, watch.bridge)?.address ?? current),
      );
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

/** All addresses of interfaces that are up, as text to compare. */
function addressList(): string {
  return Object.entries(networkInterfaces())
    .flatMap(([name, list = []]) => list.map(({ address }) => `${name} ${address}`))
    .sort()
    .join();
}
