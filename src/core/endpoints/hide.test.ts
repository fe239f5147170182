// `hide` as the core does it: what expose did is undone, without asking anybody.
import { describe, expect, it } from "vitest";
import { plainConfig } from "../../../test/support/node-config.ts";
import type { Effect } from "../effects.ts";
import { Node } from "../node.ts";
import { seededRandom } from "../random.ts";
import { readState } from "../records.ts";
import type { Reply, Request } from "../requests.ts";

/** A host that founds alone, unless it is told of a peer that never answers. */
function host(targets: readonly string[] = []) {
  const node = new Node(
    { ...plainConfig("alice", "10.32.0.0/24"), targets },
    readState(new Map()),
    seededRandom(1),
  );
  const effects: Effect[] = [...node.start(0)];
  let id = 0;
  const ask = (request: Request, now = 1_000): Reply | undefined => {
    id++;
    const now1 = [...node.handle({ type: "request", id, request }, now)];
    effects.push(...now1);
    return now1.find((e): e is Extract<Effect, { type: "reply" }> => e.type === "reply" && e.id === id)
      ?.reply;
  };
  return { node, ask, effects };
}

const expose = (...addresses: string[]): Request => ({ kind: "expose", addresses, masquerade: true });
const hide = (...addresses: string[]): Request => ({ kind: "hide", addresses });

describe("hide", () => {
  it("takes the address off the bridge, out of gossip and off the disk, and frees it", () => {
    const { node, ask, effects } = host();
    expect(ask(expose("10.32.0.9/24"))).toMatchObject({ ok: true });
    expect(node.endpoints().byAddress.has("10.32.0.9")).toBe(true);
    expect(ask(hide("10.32.0.9/24"))).toEqual({ ok: true, addresses: ["10.32.0.9/24"] });
    expect(node.exposed()).toEqual([]);
    expect(node.datapath().bridge.addresses).toEqual([]);
    expect(node.datapath().firewall.masquerade).toEqual([]);
    expect(node.endpoints().byAddress.has("10.32.0.9")).toBe(false);
    expect(node.facts().pools.map((pool) => pool.space.usedIn(pool.owned))).toEqual([0]);
    const puts = effects.flatMap((e) => (e.type === "persist" ? e.ops : []));
    expect(puts.filter(({ key }) => key === "exposed").at(-1)).toMatchObject({ value: [] });
  });

  it("leaves what was not named, ignores prefixes, and is idempotent", () => {
    const { node, ask } = host();
    ask(expose("10.32.0.9/24", "10.2.1.1/24"));
    expect(ask(hide("10.2.1.1"))).toEqual({ ok: true, addresses: ["10.2.1.1/24"] });
    expect(ask(hide("10.2.1.1/24", "10.2.9.9/24"))).toEqual({ ok: true, addresses: [] });
    expect(node.exposed().map(({ cidr }) => cidr)).toEqual(["10.32.0.9/24"]);
  });

  it("never waits for a ring: Weave Net's test 510", () => {
    const { ask } = host(["192.0.2.7"]);
    expect(ask(expose())).toBeUndefined(); // waits for the founding
    expect(ask(hide("10.32.0.9/24"))).toEqual({ ok: true, addresses: [] });
  });
});
