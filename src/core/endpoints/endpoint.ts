// Endpoints: which addresses, at which MAC, live on which peer. Each host publishes its own in the "endpoints" channel.
// The keys are slots, reused after a container is gone: a tombstone lives only until the slot's next container, so the
// map never grows beyond the most containers a host ever ran at once.
import { z } from "zod";
import { isShared } from "../address/cidr.ts";
import { isUnicastMac } from "../address/mac.ts";
import type { OriginMap } from "../crdt/origin-map.ts";

export const ENDPOINTS = "endpoints";
/** Slots of the bridge's own, exposed addresses: this one, and with more addresses "bridge-1" and so on. */
const BRIDGE_SLOT = "bridge";
/** Of one endpoint: bounds what a peer can say in one entry. */
export const MAX_ADDRESSES = 16;

export const bridgeSlot = (index: number): string => (index === 0 ? BRIDGE_SLOT : `${BRIDGE_SLOT}-${index}`);
/** Containers' slots are numbers. */
export const isBridgeSlot = (slot: string): boolean => slot.startsWith(BRIDGE_SLOT);

/** What people see beside a bridge's addresses. */
export const BRIDGE_LABEL = "expose";

const endpoint = z.looseObject({
  /** Without prefix. */
  addresses: z
    .array(z.string().refine(isShared, "not an address a container can have"))
    .min(1)
    .max(MAX_ADDRESSES),
  mac: z.string().refine(isUnicastMac, "not a unicast MAC"),
  /** For people: the beginning of the container id, or "expose". */
  label: z.string().max(64),
});

export type EndpointValue = z.infer<typeof endpoint>;

/** An endpoint with the peer it lives on. */
export interface Endpoint extends EndpointValue {
  readonly peer: string;
}

/** The same object for the same value, view after view. */
const endpointsBefore = new WeakMap<EndpointValue, Endpoint>();

function endpointOf(value: EndpointValue, peer: string): Endpoint {
  const before = endpointsBefore.get(value);
  if (before?.peer === peer) return before;
  const endpoint = { ...value, peer };
  endpointsBefore.set(value, endpoint);
  return endpoint;
}

export interface Conflict {
  readonly address: string;
  readonly peers: readonly string[];
}

/** What each value was parsed to: the view is made anew after every change, of values that are mostly the same. */
const parsedBefore = new WeakMap<object, EndpointValue | undefined>();

/** A value of the endpoints channel, or undefined when it is not one (it is still relayed). */
export function parseEndpoint(value: unknown): EndpointValue | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (parsedBefore.has(value)) return parsedBefore.get(value);
  const parsed = endpoint.safeParse(value).data;
  parsedBefore.set(value, parsed);
  return parsed;
}

/**
 * The merged view: per address the endpoint that counts here. Two peers with one address is a conflict: our own container
 * is never cut off, among others the first name counts (everywhere alike), and the conflict is told.
 */
export function viewOf(
  map: OriginMap,
  self: string,
): { readonly byAddress: ReadonlyMap<string, Endpoint>; readonly conflicts: readonly Conflict[] } {
  const byAddress = new Map<string, Endpoint>();
  const rivals = new Map<string, Set<string>>();
  for (const { origin, value } of map.live()) {
    const parsed = parseEndpoint(value);
    if (parsed === undefined) continue;
    for (const address of parsed.addresses) {
      const held = byAddress.get(address);
      if (held !== undefined && held.peer !== origin) {
        const peers = rivals.get(address) ?? new Set([held.peer]);
        rivals.set(address, peers.add(origin));
      }
      if (held === undefined || (held.peer !== self && (origin === self || origin < held.peer))) {
        byAddress.set(address, endpointOf(parsed, origin));
      }
    }
  }
  return {
    byAddress,
    conflicts: [...rivals].map(([address, peers]) => ({ address, peers: [...peers].sort() })),
  };
}
