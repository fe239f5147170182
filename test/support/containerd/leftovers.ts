// Everything pods and containers may leave on a machine, in one value: to compare before and after.
import { existsSync, readdirSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { eventually } from "../../kernel/support/namespaces.ts";
import { type Traces, tracesOf } from "../traces.ts";
import type { Machine } from "./machine.ts";

interface Leftovers extends Traces {
  /** Of the runtime, in /run/netns. */
  readonly networkNamespaces: readonly string[];
  /** Results that libcni keeps until DEL. */
  readonly cachedResults: readonly string[];
  /** Names of all links of the host, with their kind of queue: ifbs of shaped containers are among them. */
  readonly links: readonly string[];
  /** Our nft table as text, without counters: port mappings are elements in it. */
  readonly rules: string;
}

export async function leftoversOf(machine: Machine): Promise<Leftovers> {
  const results = machine.path("/var/lib/cni/results");
  const links = await machine.namespace.json("ip -j link show");
  return {
    ...(await tracesOf(machine)),
    networkNamespaces: machine.networkNamespaces(),
    cachedResults: existsSync(results) ? readdirSync(results).sort() : [],
    links: links.map((link) => `${String(link["ifname"])} ${String(link["qdisc"])}`).sort(),
    rules: await machine.namespace.run("nft --stateless list table inet weave").catch(() => ""),
  };
}

/** The machine is as it was, at once or when daemons have told each other. */
export async function expectNothingLeft(machine: Machine, before: Leftovers): Promise<void> {
  let now = await leftoversOf(machine);
  const same = async (): Promise<boolean> => {
    now = await leftoversOf(machine);
    return isDeepStrictEqual(now, before);
  };
  await eventually("nothing is left", same, 5_000).catch(() => expect(now).toEqual(before));
}
