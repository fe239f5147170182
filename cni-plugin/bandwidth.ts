// The capability "bandwidth" (CNI conventions): rates in bit/s, bursts in bits, 0 or absent for no limit. Kubernetes'
// annotations ingress-bandwidth and egress-bandwidth arrive here, with the largest burst 32 bits can hold.
import type { Bandwidth } from "../src/ports/kernel.ts";
import { CniCode, CniError } from "./errors.ts";
import { field, integer } from "./fields.ts";

/** As the reference plugin has it: what does not fit 32 bits of bytes the kernel cannot take. */
const MAX_BURST_BITS = 2 ** 32 * 8 - 1;

/** undefined when nothing is limited. Code 7 for what is no such object. */
export function parseBandwidth(given: unknown): Bandwidth | undefined {
  if (given === undefined) return undefined;
  if (typeof given !== "object" || Array.isArray(given))
    throw new CniError(CniCode.badConfig, "runtimeConfig.bandwidth: an object was expected");
  const ingress = parseLimit(given, "ingress");
  const egress = parseLimit(given, "egress");
  if (ingress === undefined && egress === undefined) return undefined;
  return { ...(ingress === undefined ? {} : { ingress }), ...(egress === undefined ? {} : { egress }) };
}

function parseLimit(given: unknown, direction: "ingress" | "egress"): Bandwidth["ingress"] {
  const number = (name: string, most: number): number =>
    integer(`runtimeConfig.bandwidth.${name}`, field(given, name), 0, most) ?? 0;
  const rate = number(`${direction}Rate`, Number.MAX_SAFE_INTEGER);
  const burst = number(`${direction}Burst`, Number.MAX_SAFE_INTEGER);
  if (rate === 0 && burst === 0) return undefined;
  if (rate === 0) {
    const message = `runtimeConfig.bandwidth: ${direction}Burst ${burst} without ${direction}Rate limits nothing`;
    throw new CniError(CniCode.badConfig, message);
  }
  // A tenth of a second of the rate, as `tc` users choose it, where the runtime leaves it open.
  return { rate, burst: burst === 0 ? Math.ceil(rate / 10) : Math.min(burst, MAX_BURST_BITS) };
}
