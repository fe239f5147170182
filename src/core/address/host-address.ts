// Whether an address with a prefix, named by an operator, can be an interface's: Weave Net's rules for manual addresses.
import { type Cidr, formatAddress, networkOf } from "./cidr.ts";

/**
 * Why not, as the end of a sentence about the address; undefined when it can. A subnet has four addresses at least, of which
 * the first names the subnet and, in IPv4, the last is its broadcast address.
 */
export function whyNoHost(cidr: Cidr): string | undefined {
  const bits = cidr.family === 4 ? 32 : 128;
  if (cidr.prefix > bits - 2) return `has a prefix longer than /${bits - 2}, which leaves no room for others`;
  const network = networkOf(cidr);
  const last = network.value + (1n << BigInt(bits - cidr.prefix)) - 1n;
  const subnet = `${formatAddress(cidr.family, network.value)}/${cidr.prefix}`;
  if (cidr.value === network.value) return `is the network address of ${subnet}`;
  if (cidr.family === 4 && cidr.value === last) return `is the broadcast address of ${subnet}`;
  return undefined;
}
