// Who may come in over the port of the mesh, as far as this host can tell by itself: whether a password is asked for, and
// which addresses listen. Firewalls, here or on the way, are not looked at, and nothing is said about them.
import type { Status } from "../../src/api/status.ts";
import { parseAddress } from "../../src/core/address/cidr.ts";

/** Of an interface of this host, as node:os tells it. */
interface InterfaceAddress {
  readonly address: string;
  readonly cidr: string | null;
  readonly internal: boolean;
}

type Access = NonNullable<Status["access"]>;

/**
 * `host`: the address listened on, or "*". `interfaces` by name; `own` are those of the overlay, from which the firewall lets
 * nobody to the port.
 */
export function accessOf(
  { host, password }: { readonly host: string; readonly password: boolean },
  interfaces: Readonly<Record<string, readonly InterfaceAddress[] | undefined>>,
  own: readonly string[],
): Access {
  const listening = Object.entries(interfaces)
    .filter(([name]) => !own.includes(name))
    .flatMap(([, list = []]) => list)
    .filter(({ address, internal }) => !internal && (host === "*" || host === address));
  // Every interface has one of link scope; who is on its link mostly reaches another address, too.
  const wider = listening.filter(({ address }) => !LINK_LOCAL.test(address));
  const shown = (wider.length > 0 ? wider : listening).map(({ address, cidr }) => cidr ?? address);
  const reach = listening.length === 0 ? "host" : wider.some(isGlobal) ? "everywhere" : "networks";
  return { password, reach, addresses: [...new Set(shown)].sort() };
}

/** Whether other networks may have a route to it. Addresses for documentation count: who uses them in earnest routes them. */
function isGlobal({ address }: InterfaceAddress): boolean {
  return parseAddress(address) !== undefined && !PRIVATE.some((pattern) => pattern.test(address));
}

/** RFC 3927 and RFC 4291 section 2.5.6. */
const LINK_LOCAL = /^(169\.254\.|fe[89ab])/;
/** RFC 1918, RFC 6598 and RFC 4193. */
const PRIVATE = [
  /^10\./,
  /^172\.(1[6-9]|2\d|3[01])\./,
  /^192\.168\./,
  /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./,
  /^f[cd]/,
];
