import { expect, it } from "vitest";
import type { PathState } from "./datapath/paths.ts";
import type { Node } from "./node.ts";
import { pathProblems, pathReason } from "./path-problems.ts";

const peer = (nickname: string, underlay: string) => ({ nickname, underlay });
/** As much of a node as is looked at: it knows bob and carol, and reaches bob alone. */
const node = {
  config: { vxlanPort: 6784 },
  reachable: () => new Set(["b"]),
  peers: () =>
    new Map([
      ["b", peer("bob", "192.0.2.2")],
      ["c", peer("carol", "192.0.2.3")],
    ]),
} as unknown as Node;
const dropping: PathState = { verified: "no", since: 7, mtu: 1450, fault: "drops-large", passes: 1346 };

it("tells which size is lost, which arrives, and how to see it without weave", () => {
  const [problem] = pathProblems(node, new Map([["b", dropping]]));
  expect(problem).toMatchObject({
    code: "path-mtu",
    object: "bob",
    since: 7,
    command: "ping -c 3 -M do -s 1472 192.0.2.2",
  });
  expect(problem?.message).toMatch(
    /to bob packets of 1450 bytes are lost, those of 1346 arrive.* 1500 .*--mtu 1346$/,
  );
  expect(pathReason(dropping)).toBe("packets of 1450 bytes are lost, those of 1346 arrive");
});

it("while the size that arrives is searched, or is too small for weave, advises none", () => {
  const { passes: _, ...searching } = dropping;
  for (const state of [searching, { ...dropping, passes: 500 }])
    expect(pathProblems(node, new Map([["b", state]]))[0]?.message).toMatch(/Raise its MTU$/);
  expect(pathReason(searching)).toBe("packets of 1450 bytes are lost, small ones arrive");
});

it("tells that nothing is answered, and which port to open", () => {
  const [problem] = pathProblems(node, new Map([["b", { ...dropping, fault: "no-answer" }]]));
  expect(problem).toMatchObject({ code: "path-down", object: "bob" });
  expect(problem?.command).toBe("tcpdump -ni any udp port 6784 and host 192.0.2.2");
});

it("tells nothing of a good path, one nobody can judge, and a peer that gossip does not reach either", () => {
  const states = new Map<string, PathState>([
    ["b", { verified: "unverified", since: 1, mtu: 1450, reason: "not probed yet" }],
    ["c", dropping],
    ["gone", dropping],
  ]);
  expect(pathProblems(node, states)).toEqual([]);
  expect(pathProblems(node, new Map([["b", { verified: "yes", since: 1, mtu: 1450 }]]))).toEqual([]);
});
