// What can be seen of an attached pod from its namespace and its host: addresses, links, shaping.
import { isObject, type TestNamespace } from "../kernel/support/namespaces.ts";

/** IPv4 addresses of global scope of an interface, without prefix. */
export async function addressesOn(namespace: TestNamespace, ifname: string): Promise<string[]> {
  const [link] = await namespace.json(`ip -j -4 address show dev ${ifname} scope global`);
  const infos: unknown = link?.["addr_info"];
  return Array.isArray(infos) ? infos.filter(isObject).map(({ local }) => String(local)) : [];
}

export async function linksOf(namespace: TestNamespace): Promise<string[]> {
  return (await namespace.json("ip -j link show")).map((link) => String(link["ifname"]));
}

/** Token bucket filters of a host: interface name to rate in bits per second. */
export async function shapersOf(host: TestNamespace): Promise<ReadonlyMap<string, number>> {
  const qdiscs = await host.json("tc -j qdisc show");
  const shapers = new Map<string, number>();
  for (const { kind, dev, options } of qdiscs) {
    if (kind === "tbf" && isObject(options)) shapers.set(String(dev), Number(options["rate"]) * 8); // tc: bytes
  }
  return shapers;
}
