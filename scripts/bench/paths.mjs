// Three ways from a container on one host to a container on another, each with two hosts of its own on a wire of its own:
// nothing at all (one veth pair), a routed VXLAN as Flannel lays it, and weave. Hosts and containers are network namespaces,
// and the hosts can be set up as those of Kubernetes are.

import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { repositoryRoot } from "../run.mjs";
import { must, PATH } from "./commands.mjs";
import { batch, makeDirectory, netnsName, netnsPath } from "./place.mjs";

/** Both daemons know each other's container after a gossip round; far above that, as other work may hold them up. */
const REACHABLE_MS = 20_000;
const CNI_VERSION = "1.0.0";

/**
 * A way under measurement: the namespaces at both ends, by path, the address of the second, and the names of the hosts.
 * @typedef {{ name: string, from: string, to: string, address: string, hosts: string[], masquerade?: string }} Path
 */

/** Whether this kernel can hand bridged packets to the rules for routed ones, which Kubernetes wants. */
export const hasBridgeNetfilter = () => existsSync("/proc/sys/net/bridge/bridge-nf-call-iptables");

/**
 * Sets up the hosts of a path. As nodes of Kubernetes bridged packets meet the rules for routed ones, and the reference
 * translates addresses, as Flannel does with `--ip-masq` and kube-proxy in any case: connections are tracked on both.
 * Otherwise neither holds, and the reference has no rules at all.
 * @param {Path} path
 * @param {boolean} asNodes
 */
export async function setUp({ hosts, masquerade }, asNodes) {
  for (const host of hosts) {
    const onHost = (...words) => must("ip", ["netns", "exec", host, ...words]);
    const value = asNodes ? 1 : 0;
    const keys = ["iptables", "ip6tables"].map((tables) => `net.bridge.bridge-nf-call-${tables}=${value}`);
    if (hasBridgeNetfilter()) await onHost("sysctl", "-qw", ...keys);
    if (masquerade === undefined) continue;
    const rule = `ip saddr ${masquerade} ip daddr != ${masquerade} masquerade`;
    const chain = `chain nat {\ntype nat hook postrouting priority srcnat\n${rule}\n}\n`;
    const table = `table ip reference {\n${asNodes ? chain : ""}}`;
    await onHost("nft", `table ip reference\ndelete table ip reference\n${table}`);
  }
}

/** Two containers joined by one veth pair: what packets cost when nobody forwards them. */
export async function makeVeth() {
  const [from, to] = ["veth-a", "veth-b"].map(netnsName);
  await batch([
    `netns add ${from}`,
    `netns add ${to}`,
    `-n ${from} link add eth0 type veth peer name eth0 netns ${to}`,
    `-n ${from} address add 192.168.78.1/24 dev eth0`,
    `-n ${to} address add 192.168.78.2/24 dev eth0`,
    ...[from, to].map((netns) => `-n ${netns} link set eth0 up`),
  ]);
  const ends = { from: netnsPath("veth-a"), to: netnsPath("veth-b") };
  return { name: "plain veth", ...ends, address: "192.168.78.2", hosts: [] };
}

/**
 * What Flannel's vxlan backend makes with the bridge plugin, and nothing that belongs to neither: per host a /24 on a bridge,
 * one VXLAN device outside of it, a route to the other /24 by way of the other device, whose MAC and place are written down.
 */
export async function makeRouted() {
  const hosts = await makeHosts("routed");
  for (const [n, host] of hosts.entries()) {
    const [own, other] = [n + 1, 2 - n];
    const container = netnsName(`routed-container-${own}`);
    await batch([
      `-n ${host} link add flannel.1 address 02:00:00:00:01:0${own} mtu 1450 type vxlan id 1 local 192.168.77.${own} dev eth0 dstport 8472 nolearning`,
      `-n ${host} address add 10.44.${own}.0/32 dev flannel.1`,
      `-n ${host} link set flannel.1 up`,
      `-n ${host} neighbor add 10.44.${other}.0 lladdr 02:00:00:00:01:0${other} dev flannel.1 nud permanent`,
      `-n ${host} route add 10.44.${other}.0/24 via 10.44.${other}.0 dev flannel.1 onlink`,
      `-n ${host} link add cni0 mtu 1450 type bridge`,
      `-n ${host} address add 10.44.${own}.1/24 dev cni0`,
      `-n ${host} link set cni0 up`,
      `netns add ${container}`,
      `-n ${host} link add vethbench mtu 1450 type veth peer name eth0 mtu 1450 netns ${container}`,
      `-n ${host} link set vethbench master cni0 up`,
      `-n ${host} link set vethbench type bridge_slave hairpin on`,
      `-n ${container} address add 10.44.${own}.2/24 dev eth0`,
      `-n ${container} link set eth0 up`,
      `-n ${container} route add default via 10.44.${own}.1`,
    ]);
    const entry = `02:00:00:00:01:0${other} dev flannel.1 dst 192.168.77.${other} self permanent`;
    await must("bridge", ["-n", host, "fdb", "add", ...entry.split(" ")]);
    await must("ip", ["netns", "exec", host, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  }
  const [from, to] = [1, 2].map((n) => netnsPath(`routed-container-${n}`));
  const masquerade = "10.44.0.0/16";
  return settled({ name: "routed VXLAN", from, to, address: "10.44.2.2", hosts, masquerade });
}

/** Two daemons, a container attached to each as a runtime does it: by the plugin that `weave setup` installed. */
export async function makeWeavePath() {
  const hosts = await makeHosts("weave");
  const [from, to] = [await makeWeaveHost(1), await makeWeaveHost(2, "192.168.77.1")];
  return settled({ name: "weave", from: from.container, to: to.container, address: to.address, hosts });
}

async function makeWeaveHost(n, ...peers) {
  const base = makeDirectory();
  const [bin, conf, data, run] = ["bin", "conf", "data", "run"].map((name) => join(base, name));
  for (const directory of [bin, conf, data, run]) mkdirSync(directory);
  const env = { PATH, WEAVE_DATA_DIR: data, WEAVE_RUN_DIR: run };
  const onHost = (program, args, options) =>
    must("nsenter", [`--net=${netnsPath(`weave-${n}`)}`, program, ...args], { env, ...options });
  const weave = join(repositoryRoot, "dist/bin/weave");
  await onHost(weave, ["setup", "--cni-bin-dir", bin, "--cni-conf-dir", conf]);
  await onHost(weave, ["launch", "--nickname", `bench-${n}`, ...peers]);
  await must("ip", ["netns", "add", netnsName(`weave-container-${n}`)]);
  const container = netnsPath(`weave-container-${n}`);
  const answer = await onHost(join(bin, "weave-net"), [], {
    env: {
      PATH,
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: `bench-${n}`,
      CNI_NETNS: container,
      CNI_IFNAME: "eth0",
      CNI_PATH: bin,
    },
    input: JSON.stringify({ cniVersion: CNI_VERSION, name: "bench", type: "weave-net", hairpinMode: true }),
  });
  return { container, address: JSON.parse(answer).ips[0].address.split("/")[0] };
}

/** Two hosts and the wire between them, 192.168.77.1 and .2; their namespaces are `NAME-1` and `NAME-2`. */
async function makeHosts(name) {
  const hosts = [1, 2].map((n) => netnsName(`${name}-${n}`));
  await batch([
    ...hosts.map((host) => `netns add ${host}`),
    `-n ${hosts[0]} link add eth0 type veth peer name eth0 netns ${hosts[1]}`,
    ...hosts.flatMap((host, index) => [
      `-n ${host} address add 192.168.77.${index + 1}/24 dev eth0`,
      `-n ${host} link set lo up`,
      `-n ${host} link set eth0 up`,
    ]),
  ]);
  return hosts;
}

/** Waits until one end reaches the other. */
async function settled(path) {
  for (const deadline = Date.now() + REACHABLE_MS; ; await sleep(200)) {
    try {
      await must("nsenter", [`--net=${path.from}`, "ping", "-c", "1", "-W", "1", path.address]);
      return path;
    } catch (error) {
      if (Date.now() > deadline)
        throw new Error(`${path.name}: ${path.address} is not reached: ${error.message}`);
    }
  }
}
