// Whether the names of our two devices are free or ours: a link of another kind is never taken over, nor deleted.
import { BRIDGE, VXLAN } from "../../../../src/daemon/config.ts";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { defineCheck, type Verdict } from "../check.ts";
import type { Finding } from "../finding.ts";

const KINDS: Readonly<Record<string, string>> = { [BRIDGE]: "bridge", [VXLAN]: "vxlan" };

export const links = defineCheck<Part<"links">>("links", ({ kernel }) => kernel("links"), judgeLinks);

export function judgeLinks(all: Part<"links">): Verdict {
  const named = all.filter(({ name }) => name in KINDS);
  const findings = named
    .filter(({ name, kind }) => kind !== KINDS[name])
    .map(
      ({ name, kind }): Finding => ({
        code: "link-taken",
        object: name,
        message: `there is a link ${name} of kind ${kind || "physical"}, and weaver needs the name for a ${KINDS[name]}`,
        command: `ip link delete ${name}`,
      }),
    );
  const there = named.map(({ name, kind, up }) => `${name} (${kind}${up ? "" : ", down"})`);
  return { findings, saw: there.length === 0 ? `no ${BRIDGE} and no ${VXLAN} yet` : there.join(", ") };
}
