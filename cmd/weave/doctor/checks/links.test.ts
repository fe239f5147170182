import { expect, it } from "vitest";
import { judgeLinks } from "./links.ts";

const link = (name: string, kind: string, up = true) => ({
  ...{ index: 1, name, kind, up, mtu: 1450, advertised: false },
});

it.each([
  [[link("eth0", "")], [], "no weave and no vxlan-6784 yet"],
  [
    [link("weave", "bridge"), link("vxlan-6784", "vxlan", false)],
    [],
    "weave (bridge), vxlan-6784 (vxlan, down)",
  ],
  [[link("weave", "dummy")], ["weave"], "weave (dummy)"],
  [[link("vxlan-6784", "veth")], ["vxlan-6784"], "vxlan-6784 (veth)"],
])("%o", (links, taken, saw) => {
  const judged = judgeLinks(links);
  expect(judged.findings.map(({ object }) => object)).toEqual(taken);
  expect(judged.saw).toBe(saw);
});
