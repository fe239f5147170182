// What a survey tells of the kernel, as it crosses from the process that reads it (main.ts) to the one that judges. Every
// part stands alone: one that cannot be read hides no other.
import { z } from "zod";

/** Each part by its name. */
export const parts = {
  /** Routes, addresses, and what is missing: HostFacts of the Kernel port. */
  host: z.object({
    routes: z.array(z.object({ dst: z.string(), dev: z.string() })),
    addresses: z.array(z.object({ dev: z.string(), address: z.string(), mtu: z.int() })),
    defaultSource: z.object({ address: z.string(), mtu: z.int() }).optional(),
    missing: z.array(z.object({ what: z.string(), brings: z.string() })),
  }),
  links: z.array(
    z.object({
      index: z.int(),
      name: z.string(),
      /** "bridge", "vxlan", "veth", ...; empty for physical ones. */
      kind: z.string(),
      up: z.boolean(),
      mtu: z.int(),
      /** Of a VXLAN device: its UDP port, and the address it sends from. */
      port: z.int().optional(),
      local: z.string().optional(),
      /** Has a route that came by router advertisement. */
      advertised: z.boolean(),
    }),
  ),
  /** Whether nft and this kernel accept our tables; nothing is loaded. */
  trial: z.object({ refusal: z.string().optional() }),
  /** Firewalls that drop what is forwarded, and are told with their own tool to accept what is ours. */
  accepts: z.array(
    z.object({
      /** "iptables (nf_tables)" and the like. */
      where: z.string(),
      standing: z.enum(["none", "there", "missing"]),
      /** What puts the accept in, one command each; empty when nothing is missing. */
      commands: z.array(z.string()),
    }),
  ),
  /** Chains of all nf_tables tables that drop what comes in or is forwarded unless a rule accepts it. */
  drops: z.array(
    z.object({
      family: z.string(),
      table: z.string(),
      chain: z.string(),
      hook: z.enum(["input", "forward"]),
      /** A rule of it names the bridge. */
      namesBridge: z.boolean(),
    }),
  ),
  /** Ranges in our own table, which outlives the daemon; empty without a table. */
  overlay: z.array(z.string()),
} as const;

export type PartName = keyof typeof parts;
export type Part<K extends PartName> = z.infer<(typeof parts)[K]>;

/** One line of what the reading process prints, as JSON. */
export const line = z.object({
  part: z.string(),
  value: z.unknown().optional(),
  failure: z.string().optional(),
});
