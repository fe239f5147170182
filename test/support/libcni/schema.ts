// The result of ADD in each version of the specification, as schemas that refuse members of other versions.
import { z } from "zod";
import type { CNI_VERSIONS } from "../../../cni-plugin/versions.ts";

const ipv4 = z.ipv4();
const ip = z.union([ipv4, z.ipv6()]);
const cidr = z.union([z.cidrv4(), z.cidrv6()]);
const mac = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
const dns = z.strictObject({
  nameservers: z.array(ip).optional(),
  domain: z.string().optional(),
  search: z.array(z.string()).optional(),
  options: z.array(z.string()).optional(),
});
const route = { dst: cidr, gw: ip.optional() };
const link = { name: z.string().min(1).max(15), mac: mac.optional(), sandbox: z.string().min(1).optional() };

function families(cniVersion: string) {
  const routes = z.array(z.strictObject(route)).optional();
  return z.strictObject({
    cniVersion: z.literal(cniVersion),
    ip4: z.strictObject({ ip: z.cidrv4(), gateway: ipv4.optional(), routes }).optional(),
    ip6: z.strictObject({ ip: z.cidrv6(), gateway: z.ipv6().optional(), routes }).optional(),
    dns: dns.optional(),
  });
}

/** What a version adds to addresses, interfaces and routes. */
function lists(
  cniVersion: string,
  more: { ip?: z.ZodRawShape; link?: z.ZodRawShape; route?: z.ZodRawShape },
) {
  const address = z.strictObject({
    address: cidr,
    gateway: ip.optional(),
    interface: z.int().nonnegative().optional(),
    ...more.ip,
  });
  return z
    .strictObject({
      cniVersion: z.literal(cniVersion),
      interfaces: z.array(z.strictObject({ ...link, ...more.link })).optional(),
      ips: z.array(address).optional(),
      routes: z.array(z.strictObject({ ...route, ...more.route })).optional(),
      dns: dns.optional(),
    })
    .refine(
      ({ interfaces = [], ips = [] }) =>
        ips.every((one) => (one.interface ?? 0) < Math.max(1, interfaces.length)),
      "an address points at no interface",
    );
}

const family = { version: z.enum(["4", "6"]) };
const count = z.int().nonnegative().optional();

/** By version; parsing throws with what is wrong. */
export const RESULT_SCHEMAS: Readonly<Record<(typeof CNI_VERSIONS)[number], z.ZodType>> = {
  "0.1.0": families("0.1.0"),
  "0.2.0": families("0.2.0"),
  "0.3.0": lists("0.3.0", { ip: family }),
  "0.3.1": lists("0.3.1", { ip: family }),
  "0.4.0": lists("0.4.0", { ip: family }),
  "1.0.0": lists("1.0.0", {}),
  "1.1.0": lists("1.1.0", {
    link: { mtu: count, socketPath: z.string().optional(), pciID: z.string().optional() },
    route: { mtu: count, advmss: count, priority: count, table: count, scope: count },
  }),
};
