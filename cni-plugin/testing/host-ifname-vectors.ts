// Golden vectors of the host interface name, computed once by a third implementation. Both ours must agree
// with them for ever: a name that changes between releases would leave links behind.

export const HOST_IFNAME_VECTORS: readonly (readonly [
  network: string,
  containerId: string,
  ifname: string,
  name: string,
])[] = [
  ["weave", "c-1", "eth0", "vwb868c642dacd"],
  ["weave", "c-1", "eth1", "vwb868c542dacd"],
  ["net1", "c-1", "eth0", "vw60a05be8208b"],
  ["a", "bc", "d", "vwdc957d15ea40"],
  ["ab", "c", "d", "vw9ff3166ac463"],
  ["weave", "9f".repeat(32), "eth0", "vwc3cd84c2940a"],
  ["weave", `${"9f".repeat(31)}9e`, "eth0", "vw760e9eed8e88"],
  ["n", "x", "ä0", "vw719623865254"],
  ["weave", "c55", "eth0", "vw00ee6a04f921"],
];
