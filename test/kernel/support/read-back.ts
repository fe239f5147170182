// Reads the facts of a host out of the real kernel with `ip`, `bridge` and `nft`, in the words the memory kernel uses.
// Everything is read by those tools and nothing by our own code: it is the other half of a proof.
import { isObject, type JsonObject, type TestNamespace } from "./namespaces.ts";

/** What memory/render.ts prints for a host. */
export async function renderHost(ns: TestNamespace): Promise<string> {
  const links = await ns.json("ip -d -j link show");
  const bridge = links.find((link) => info(link)["info_kind"] === "bridge");
  const vxlan = links.find((link) => info(link)["info_kind"] === "vxlan");
  if (bridge === undefined || vxlan === undefined) return "";
  const [bridgeName, vxlanName] = [String(bridge["ifname"]), String(vxlan["ifname"])];
  const data = details(vxlan, "info_data");
  const port = details(vxlan, "info_slave_data");
  const bridgeData = details(bridge, "info_data");
  const veths = links.filter((link) => info(link)["info_kind"] === "veth" && link["master"] === bridgeName);
  const fdb = await ns.json(`bridge -j fdb show dev ${vxlanName}`);
  const self = fdb.filter((entry) => !("master" in entry) && "dst" in entry);
  const master = fdb.filter((entry) => "master" in entry && entry["state"] !== "permanent");
  const homes = (await ns.json(`bridge -j fdb show br ${bridgeName}`)).filter(
    (entry) => entry["ifname"] !== vxlanName && entry["state"] === "static" && "master" in entry,
  );
  const neighbours = await ns.json(`ip -j neigh show nud permanent dev ${bridgeName}`);
  return lines([
    [
      `link ${bridgeName} bridge address ${bridge["address"]} mtu ${bridge["mtu"]} stp ${on(bridgeData["stp_state"])} ` +
        `mcast_snooping ${on(bridgeData["mcast_snooping"])} ${up(bridge)}`,
    ],
    [
      `link ${vxlanName} vxlan id ${data["id"]} dstport ${data["port"]} local ${data["local"]} ` +
        `${data["learning"] === true ? "" : "no"}learning address ${vxlan["address"]} mtu ${vxlan["mtu"]} ` +
        `master ${vxlan["master"]} learning ${on(port["learning"])} neigh_suppress ${on(port["neigh_suppress"])} ${up(vxlan)}`,
    ],
    veths.map((veth) => {
      const { learning, hairpin } = details(veth, "info_slave_data");
      return `link ${veth["ifname"]} veth mtu ${veth["mtu"]} master ${veth["master"]} learning ${on(learning)} hairpin ${on(hairpin)} ${up(veth)}`;
    }),
    shapes(await ns.json("tc -j qdisc show")),
    (await addresses(ns, bridgeName)).map((address) => `address ${address} dev ${bridgeName}`),
    self
      .filter((entry) => entry["mac"] === "00:00:00:00:00:00")
      .map((entry) => `flood dev ${vxlanName} dst ${entry["dst"]}`),
    self
      .filter((entry) => entry["mac"] !== "00:00:00:00:00:00")
      .map((entry) => `fdb ${entry["mac"]} dev ${vxlanName} dst ${entry["dst"]} self`),
    master.map((entry) => {
      const sticky = Array.isArray(entry["flags"]) && entry["flags"].includes("sticky") ? " sticky" : "";
      return `fdb ${entry["mac"]} dev ${vxlanName} master ${entry["master"]} ${entry["state"]}${sticky}`;
    }),
    homes.map((entry) => `fdb ${entry["mac"]} dev ${entry["ifname"]} master ${bridgeName} static sticky`),
    neighbours.map((entry) => `neigh ${entry["dst"]} dev ${bridgeName} lladdr ${entry["lladdr"]} permanent`),
    await bridgeRoutes(ns, bridgeName),
    await forwarding(ns),
    (await ns.run(`sysctl -n net.ipv4.conf.${bridgeName}.route_localnet`)).trim() === "1"
      ? [`route_localnet ${bridgeName}`]
      : [],
    await sets(ns),
  ]);
}

/** Routes of our table, of a family whose packets from the bridge are led there. */
async function bridgeRoutes(ns: TestNamespace, bridge: string): Promise<string[]> {
  const found: string[] = [];
  for (const family of ["-4", "-6"]) {
    const rules = await ns.json(`ip ${family} -j rule show`);
    if (!rules.some((rule) => rule["iif"] === bridge && rule["table"] === "6784")) continue;
    const routes = await ns.json(`ip ${family} -j route show table 6784`);
    found.push(...routes.map(({ dst, dev }) => `route ${dst} dev ${dev} iif ${bridge}`));
  }
  return found;
}

/** What memory/render.ts prints for a container's namespace. */
export async function renderContainer(ns: TestNamespace): Promise<string> {
  const links = (await ns.json("ip -j link show")).filter((link) => link["ifname"] !== "lo");
  const names = links.map((link) => String(link["ifname"]));
  const routes: string[] = [];
  for (const family of ["-4", "-6"]) {
    for (const route of await ns.json(`ip ${family} -j route show table main`)) {
      // `ip` leaves the protocol of routes made by hand ("boot") out.
      if (route["protocol"] !== undefined && route["protocol"] !== "boot") continue;
      const all = family === "-4" ? "0.0.0.0/0" : "::/0";
      const via = route["gateway"] === undefined ? "" : ` via ${route["gateway"]}`;
      routes.push(`route ${route["dst"] === "default" ? all : route["dst"]}${via} dev ${route["dev"]}`);
    }
  }
  const perLink = await Promise.all(
    names.map(async (name) => (await addresses(ns, name)).map((address) => `address ${address} dev ${name}`)),
  );
  return lines([
    links.map((link) => `link ${link["ifname"]} address ${link["address"]} mtu ${link["mtu"]} ${up(link)}`),
    perLink.flat(),
    routes,
  ]);
}

/** Token buckets of host ends, and of the devices that what containers send is redirected to. */
function shapes(qdiscs: readonly JsonObject[]): string[] {
  return qdiscs.flatMap((qdisc) => {
    if (qdisc["kind"] !== "tbf" || !isObject(qdisc["options"])) return [];
    const dev = String(qdisc["dev"]);
    const direction = dev.startsWith("vi") ? "egress" : "ingress";
    const { rate, burst } = qdisc["options"];
    return [`shape ${dev.replace(/^vi/, "vw")} ${direction} rate ${rate} burst ${burst}`];
  });
}

async function addresses(ns: TestNamespace, dev: string): Promise<string[]> {
  return (await ns.json(`ip -j addr show dev ${dev}`)).flatMap((link) =>
    list(link["addr_info"])
      .filter((entry) => entry["scope"] === "global")
      .map((entry) => `${entry["local"]}/${entry["prefixlen"]}`),
  );
}

async function forwarding(ns: TestNamespace): Promise<string[]> {
  const [four, six] = (await ns.run("sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding"))
    .trim()
    .split("\n");
  return [...(four === "1" ? ["forwarding ipv4"] : []), ...(six === "1" ? ["forwarding ipv6"] : [])];
}

async function sets(ns: TestNamespace): Promise<string[]> {
  const text = await ns.run("nft list table inet weave");
  return [...text.matchAll(/^\t(set|map) (\w+) \{\n(.*?)^\t\}/gms)].map(([, kind, name, body = ""]) => {
    const elements = /elements = \{([^}]*)\}/.exec(body)?.[1] ?? "";
    const words = elements.split(",").map((word) => word.trim());
    return `nft ${kind} ${name} { ${words.filter(Boolean).sort().join(", ")} }`;
  });
}

function lines(groups: readonly (readonly string[])[]): string {
  return groups
    .flatMap((group) => [...group].sort())
    .map((line) => `${line}\n`)
    .join("");
}

function info(link: JsonObject): JsonObject {
  return isObject(link["linkinfo"]) ? link["linkinfo"] : {};
}

function details(link: JsonObject, what: string): JsonObject {
  const found = info(link)[what];
  return isObject(found) ? found : {};
}

function list(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function on(value: unknown): string {
  return value === true || value === 1 ? "on" : "off";
}

function up(link: JsonObject): string {
  return Array.isArray(link["flags"]) && link["flags"].includes("UP") ? "up" : "down";
}
