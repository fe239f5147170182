// Firewalls of others that drop what containers send through this host, or what peers send to it.
import { BRIDGE } from "../../../../src/daemon/config.ts";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { quote } from "../../cni/finding.ts";
import { count } from "../../status/names.ts";
import { defineCheck, type Verdict } from "../check.ts";
import type { Finding } from "../finding.ts";

export interface ForwardingFacts {
  readonly accepts: Part<"accepts">;
  readonly drops: Part<"drops">;
  readonly port: number;
}

export const forwarding = defineCheck<ForwardingFacts>(
  "forwarding",
  async ({ kernel, port }) => ({ accepts: await kernel("accepts"), drops: await kernel("drops"), port }),
  judgeForwarding,
);

export function judgeForwarding({ accepts, drops, port }: ForwardingFacts): Verdict {
  const missing = accepts.filter(({ standing }) => standing === "missing");
  const foreign = drops.filter((chain) => chain.hook === "forward" && !isOfIptables(chain));
  const findings: Finding[] = [
    ...missing.map(({ where, commands }) => aboutAccept(where, commands)),
    ...foreign.filter(({ namesBridge }) => !namesBridge).map(aboutForward),
  ];
  const inputs = drops.filter(({ hook, family }) => hook === "input" && family !== "bridge");
  const those = accepts.filter(({ standing }) => standing !== "none").length + foreign.length;
  return {
    findings,
    notes: inputs.map((chain) => aboutInput(chain, port)),
    saw: `${those === 0 ? "no firewall drops" : `${count(those, "firewall")} of others would drop`} what is forwarded`,
  };
}

/** What `accepts` tells of. */
function isOfIptables({ family, table, chain }: Part<"drops">[number]): boolean {
  return (family === "ip" || family === "ip6") && table === "filter" && chain === "FORWARD";
}

function aboutAccept(where: string, commands: readonly string[]): Finding {
  return {
    code: "forward-drops",
    object: where,
    message:
      where === "firewalld"
        ? `firewalld drops what is forwarded from and to ${BRIDGE}, which is in no zone of it`
        : `${where} drops what is forwarded (policy or last rule of FORWARD) and does not accept what is ${BRIDGE}'s; weaver puts that in while it runs`,
    command: commands.join(" && "),
  };
}

function aboutForward({ family, table, chain }: Part<"drops">[number]): Finding {
  const where = [family, table, chain].map(quote).join(" ");
  const rules =
    family === "bridge"
      ? [`meta ibrname ${BRIDGE} accept`]
      : [
          `oifname ${BRIDGE} ct status dnat accept`,
          `oifname ${BRIDGE} ct state established,related accept`,
          `iifname ${BRIDGE} accept`,
        ];
  return {
    code: "forward-drops",
    object: `${family} ${table} ${chain}`,
    message: `chain ${chain} of table ${family} ${table} drops what is forwarded (policy drop), and no rule of it names ${BRIDGE}; add the rules to the file it is loaded from, too`,
    command: rules.map((rule) => `nft insert rule ${where} ${rule}`).join(" && "),
  };
}

/** A note only: which addresses its rules let in is more than can be read off them. */
function aboutInput({ family, table, chain }: Part<"drops">[number], port: number): Finding {
  const where = [family, table, chain].map(quote).join(" ");
  return {
    code: "input-drops",
    object: `${family} ${table} ${chain}`,
    message: `chain ${chain} of table ${family} ${table} drops what no rule accepts: peers must reach TCP ${port} and UDP 6784 of this host; unless they do already`,
    command: [`tcp dport ${port} accept`, "udp dport 6784 accept"]
      .map((rule) => `nft insert rule ${where} ${rule}`)
      .join(" && "),
  };
}
