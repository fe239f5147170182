// Kernel features and tools weave cannot do without.
import { release } from "node:os";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { defineCheck, type Verdict } from "../check.ts";
import type { Finding } from "../finding.ts";

export interface KernelFacts {
  readonly release: string;
  readonly missing: Part<"host">["missing"];
  /** What nft or the kernel said against our tables. */
  readonly refusal: string | undefined;
}

/** neigh_suppress of bridge ports, without which every ARP and ND request goes to every host. */
const OLDEST = [4, 15] as const;

export const kernel = defineCheck<KernelFacts>(
  "kernel",
  async ({ kernel: part }) => ({
    release: release(),
    missing: (await part("host")).missing,
    refusal: (await part("trial")).refusal,
  }),
  judgeKernel,
);

export function judgeKernel({ release: version, missing, refusal }: KernelFacts): Verdict {
  const findings: Finding[] = missing.map(({ what, brings }) => ({
    code: "feature-missing",
    object: what,
    message: `this host lacks ${what}; it comes with ${brings}`,
    command: toGet(what, brings),
  }));
  if (isOlder(version)) {
    findings.push({
      code: "kernel-old",
      object: version,
      message: `Linux ${version} cannot suppress ARP and ND on bridge ports, which came with ${OLDEST.join(".")}`,
      command: "apt-get install linux-image-amd64 && reboot",
    });
  }
  // Without nf_tables or the right to use it nft refuses everything, which has been told.
  if (refusal !== undefined && missing.length === 0) {
    findings.push({
      code: "nft-refuses",
      object: "table inet weave",
      message: `nft or the kernel refuses the firewall tables of weave: ${refusal}`,
      command: "modprobe -a nft_chain_nat nft_masq nft_fib_inet nft_ct nft_meta_bridge",
    });
  }
  const lacks = missing.length === 0 ? "all features and tools" : `${missing.length} missing`;
  return { findings, saw: `Linux ${version}, ${lacks}` };
}

function isOlder(version: string): boolean {
  const [major, minor] = version.split(/[.-]/).map(Number);
  if (major === undefined || minor === undefined || Number.isNaN(major + minor)) return false;
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/** `brings` is HostFacts': a command, or an option with the command in parentheses. */
function toGet(what: string, brings: string): string {
  if (what.startsWith("the right ")) return "sudo weave doctor";
  if (what === "IPv6") return "sed -i s/ipv6.disable=1// /etc/default/grub && update-grub && reboot";
  return /\((modprobe [\w ]+)\)/.exec(brings)?.[1] ?? brings;
}
