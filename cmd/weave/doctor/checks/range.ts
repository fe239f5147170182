// Whether the addresses of the network are free on this host: routes, nameservers.
import { join } from "node:path";
import { type Cidr, contains, overlaps, parseAddress, parseCidr } from "../../../../src/core/address/cidr.ts";
import { BRIDGE } from "../../../../src/daemon/config.ts";
import { DEFAULT_RANGE } from "../../../../src/daemon/options.ts";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { quote } from "../../cni/finding.ts";
import { count } from "../../status/names.ts";
import { defineCheck, type Surroundings, statusOf, type Verdict } from "../check.ts";
import { textOf } from "../facts/files.ts";
import type { Finding } from "../finding.ts";

/** Which addresses the network has, and who says so. */
export interface RangeFact {
  readonly cidrs: readonly string[];
  readonly from: "weaver" | "command line" | "firewall table" | "default";
}

export interface RangeFacts {
  readonly range: RangeFact;
  readonly routes: Part<"host">["routes"];
  readonly nameservers: readonly string[];
}

/** The daemon's word, else what was named, else what a daemon left behind, else what a launch would take. */
export async function rangeOf(around: Surroundings): Promise<RangeFact> {
  const status = await statusOf(around);
  if (status !== undefined && status.ipam.length > 0)
    return { cidrs: status.ipam.map(({ range }) => range), from: "weaver" };
  if (around.range !== undefined) return { cidrs: around.range, from: "command line" };
  const left = await around.kernel("overlay").catch(() => []);
  if (left.length > 0) return { cidrs: left, from: "firewall table" };
  return { cidrs: DEFAULT_RANGE.split(","), from: "default" };
}

export const range = defineCheck<RangeFacts>(
  "range",
  async (around) => ({
    range: await rangeOf(around),
    routes: (await around.kernel("host")).routes,
    nameservers: nameserversIn(textOf(join(around.root, "etc/resolv.conf")) ?? ""),
  }),
  judgeRange,
);

/** resolv.conf(5). */
export function nameserversIn(text: string): string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address = ""]) => address);
}

export function judgeRange({ range: { cidrs, from }, routes, nameservers }: RangeFacts): Verdict {
  const others = routes.flatMap(({ dst, dev }) => {
    const cidr = parseCidr(dst);
    return dev === BRIDGE || cidr === undefined || cidr.prefix === 0 ? [] : [{ dst, dev, cidr }];
  });
  const servers = nameservers.flatMap((text) => {
    const cidr = parseAddress(text);
    return cidr === undefined ? [] : [{ text, cidr }];
  });
  const isUsed = from === "weaver" || from === "firewall table";
  const command = `${isUsed ? "weave stop; " : ""}weave launch --ipalloc-range ${freeRange([...others, ...servers].map(({ cidr }) => cidr))}`;
  const findings: Finding[] = [];
  const notes: Finding[] = [];
  for (const text of cidrs) {
    const own = parseCidr(text);
    if (own === undefined) continue;
    for (const { dst, dev, cidr } of others.filter((route) => overlaps(route.cidr, own))) {
      // The range is the more special route, and somebody chose it with that one there: a launch asks for that.
      const isKnown = from === "weaver" && cidr.prefix < own.prefix;
      (isKnown ? notes : findings).push({
        code: "range-overlap",
        object: dst,
        message: `the range ${text} overlaps the route ${dst}${dev === "" ? "" : ` dev ${dev}`} of this host: of two things with one address only one is reached; take another range, the same on every host`,
        command,
      });
    }
    for (const { text: server, cidr } of servers.filter((each) => contains(own, each.cidr))) {
      // On loopback or behind a route of its own it is told above, or is no question.
      if (others.some((route) => contains(route.cidr, cidr))) continue;
      findings.push({
        code: "nameserver-in-range",
        object: server,
        message: `the nameserver ${server} of /etc/resolv.conf has an address of the range ${text}: containers would look for it among themselves; take another range, the same on every host`,
        command,
      });
    }
  }
  return {
    findings,
    notes,
    saw: `${cidrs.join(", ")} (${from}), ${count(others.length, "route")} of this host`,
  };
}

/** A range of usual size that none of `used` overlaps, as a word for a shell. */
export function freeRange(used: readonly Cidr[]): string {
  const candidates = [
    DEFAULT_RANGE,
    ...Array.from({ length: 15 }, (_, at) => `10.${(at + 1) * 16}.0.0/12`),
    "172.20.0.0/14",
    "192.168.128.0/17",
    "100.64.0.0/12",
  ];
  const isFree = (text: string): boolean => {
    const cidr = parseCidr(text);
    return cidr !== undefined && !used.some((other) => overlaps(other, cidr));
  };
  return quote(candidates.find(isFree) ?? "CIDR");
}
