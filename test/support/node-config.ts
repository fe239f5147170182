// What a node is told where a test does not care: everything follows from its name and the range.
import { Universe } from "../../src/core/address/universe.ts";
import type { NodeConfig } from "../../src/core/config.ts";

/** A host that founds by itself; `rest` is what the test does care about. */
export function plainConfig(name: string, range: string, rest: Partial<NodeConfig> = {}): NodeConfig {
  const universe = Universe.parse(range);
  if (typeof universe === "string") throw new Error(universe);
  return {
    name,
    nickname: name,
    software: "test",
    uid: name,
    universes: [universe],
    defaultSubnets: [universe.text],
    incarnation: `${name} disk`,
    init: { kind: "consensus" },
    foundCommand: "weave launch",
    port: 6783,
    vni: 1,
    vxlanPort: 6784,
    bridgeName: "weave",
    vxlanName: "vxlan-6784",
    underlay: { address: "192.0.2.1", pinned: true },
    mtu: 1450,
    ...rest,
  };
}
