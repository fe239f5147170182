// What Mesos understands of CNI: version 0.1.0 and 0.2.0 of the specification, as its spec.proto has it. A parse is
// that of protobuf's JSON: members it does not know are passed over, null is unset, a wrong type is an error.
import { z } from "zod";

const text = z.string().nullish();
const texts = z.array(z.string()).nullish();
const routes = z.array(z.looseObject({ dst: z.string(), gw: text })).nullish();
const family = z.looseObject({ ip: z.string(), gateway: text, routes }).nullish();
const dns = z.looseObject({ nameservers: texts, domain: text, search: texts, options: texts }).nullish();

/** A plugin's result. One of version 0.3.0 and later parses, too: into nothing. */
const resultSchema = z.looseObject({ ip4: family, ip6: family, dns });
export type PluginResult = z.infer<typeof resultSchema>;

/** A file of the configuration directory. */
const configurationSchema = z.looseObject({
  name: z.string(),
  type: z.string(),
  args: z.record(z.string(), z.unknown()).nullish(),
  ipam: z.looseObject({ type: z.string(), routes }).nullish(),
  dns,
});
export type Configuration = z.infer<typeof configurationSchema>;

/** Throws with the reason. */
export function parseResult(json: string): PluginResult {
  return resultSchema.parse(JSON.parse(json));
}

/** Throws with the reason. */
export function parseConfiguration(json: string): Configuration {
  return configurationSchema.parse(JSON.parse(json));
}
