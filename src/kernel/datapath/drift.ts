// Judges the kernel's notifications: which of them say that something of ours is not as it was left. Pure. Own changes are
// no drift, because the kernel then says what is wanted; what others do to their own things is none either. Of a thing
// that is told of twice the last word counts.
import type { DatapathState } from "../../core/datapath/state.ts";
import { hostEndMac, vxlanMac } from "../mac.ts";
import { decodeAddress } from "../rtnetlink/address.ts";
import { readS32, readU32 } from "../rtnetlink/attributes.ts";
import { decodeFdb, FLOOD_MAC } from "../rtnetlink/fdb.ts";
import { decodeLink, decodePortNotice, type Link } from "../rtnetlink/link.ts";
import type { PortInfo } from "../rtnetlink/link-info.ts";
import { decodeNeighbour } from "../rtnetlink/neighbour.ts";
import { NOTICE } from "../rtnetlink/notifications.ts";
import { decodeRoute, RT_TABLE_LOCAL } from "../rtnetlink/route.ts";
import { decodeRule } from "../rtnetlink/rule.ts";
import { AF_BRIDGE, AF_INET6 } from "../rtnetlink/wire.ts";
import { ifbName } from "../shaping.ts";
import { connectedRoutes } from "./connected.ts";
import type { Devices } from "./entries.ts";
import { NAME } from "./objects.ts";
import { canonical, canonicalCidr, homesOf } from "./plan.ts";
import { TABLE } from "./routes.ts";

/** What the kernel was left with. */
export interface Left {
  readonly state: DatapathState;
  readonly devices: Devices;
  /** False when the last apply could not reach everything. */
  readonly whole: boolean;
  /** Ports by index. Mutated: one is put in with the first message about it. */
  readonly ports: Map<number, PortLeft>;
  /** Which interface has the address that packets to other hosts come from; undefined when none was seen. */
  readonly underlay: { readonly index: number; readonly name: string } | undefined;
}

/** A port as it was first seen. */
export interface PortLeft {
  readonly name: string;
  /** Others than weave have no business changing it. */
  readonly mtu: number;
}

/** The state by what notifications name. */
interface Wanted {
  readonly addresses: ReadonlySet<string>;
  readonly flood: ReadonlySet<string>;
  readonly forwarding: ReadonlyMap<string, string>;
  readonly neighbours: ReadonlyMap<string, string>;
  readonly routes: ReadonlySet<string>;
  readonly connected: ReadonlyMap<string, string>;
  readonly ports: ReadonlyMap<string, boolean>;
  /** MAC -> the port it is bound to. */
  readonly homes: ReadonlyMap<string, string>;
}

/** Collects drift over one or more readings of the notifications. */
export class Drift {
  readonly #left: Left;
  /** Notice -> the object it is about. */
  readonly #marks = new Map<string, string>();
  /** Devices of ours that are gone: what goes with them is not told one by one. */
  readonly #gone = new Set<number>();

  constructor(left: Left) {
    this.#left = left;
  }

  /** One message of ROUTE_GROUPS. */
  notice(type: number, data: Buffer): void {
    switch (type) {
      case NOTICE.newLink:
        this.#link(data);
        break;
      case NOTICE.delLink:
        this.#linkGone(data);
        break;
      case NOTICE.newAddress:
      case NOTICE.delAddress:
        this.#address(data, type === NOTICE.newAddress);
        break;
      case NOTICE.newNeighbour:
      case NOTICE.delNeighbour:
        this.#neighbour(data, type === NOTICE.newNeighbour);
        break;
      case NOTICE.newRoute:
      case NOTICE.delRoute:
        this.#route(data, type === NOTICE.newRoute);
        break;
      case NOTICE.newRule:
      case NOTICE.delRule:
        this.#rule(data, type === NOTICE.newRule);
        break;
    }
  }

  /**
   * What is not as it was left, without what follows from that: a device takes along what is in it, an address the route
   * to its subnet. Told apart, damage that is done again and again can be seen for what it is.
   */
  objects(): readonly string[] {
    const { devices, state } = this.#left;
    if (this.#gone.has(devices.bridge) || this.#marks.has("bridge")) return [NAME.bridge(state.bridge.name)];
    if (this.#gone.has(devices.vxlan) || this.#marks.has("vxlan")) return [NAME.vxlan(state.vxlan.name)];
    const keys = [...this.#marks.keys()];
    const lost = keys.some((key) => key.startsWith("address "));
    const own = keys.filter((key) => !lost || !key.startsWith("connected "));
    return [...new Set(own.map((key) => this.#marks.get(key) ?? key))];
  }

  #judge(key: string, object: string, fine: boolean): void {
    if (fine) this.#marks.delete(key);
    else this.#marks.set(key, object);
  }

  #link(data: Buffer): void {
    const { bridge, vxlan } = this.#left.devices;
    const index = readS32(data, 4);
    if (data.readUInt8(0) === AF_BRIDGE) this.#portNotice(index, data);
    else if (index === bridge || index === vxlan || isNamedLikePort(data)) this.#linkOf(decodeLink(data));
  }

  #linkOf(link: Link): void {
    const { devices, state } = this.#left;
    if (link.index === devices.bridge)
      this.#judge("bridge", NAME.bridge(state.bridge.name), isBridge(link, state.bridge));
    else if (link.index === devices.vxlan)
      this.#judge("vxlan", NAME.vxlan(state.vxlan.name), isVxlan(link, state, devices.bridge));
    else this.#portLink(link);
  }

  #portLink(link: Link): void {
    const hairpin = this.#wants().ports.get(link.name);
    if (hairpin === undefined) return;
    const { ports, devices } = this.#left;
    const { mtu } = ports.get(link.index) ?? link;
    ports.set(link.index, { name: link.name, mtu });
    const fine =
      link.master === devices.bridge &&
      link.up &&
      link.mtu === mtu &&
      (ifbName(link.name) === undefined || link.mac === hostEndMac(link.name)) &&
      (link.port === undefined || link.port.hairpin === hairpin);
    this.#judge(`port ${link.index}`, NAME.port(link.name), fine);
  }

  /** Flags of a port are told in messages of their own. */
  #portNotice(index: number, data: Buffer): void {
    const port = decodePortNotice(data);
    if (port === undefined || index !== this.#left.devices.vxlan) return;
    this.#judge("vxlan flags", NAME.vxlan(this.#left.state.vxlan.name), isQuiet(port));
  }

  #linkGone(data: Buffer): void {
    if (data.readUInt8(0) === AF_BRIDGE) return; // it left a bridge; its own message follows
    const { bridge, vxlan } = this.#left.devices;
    const index = readS32(data, 4);
    if (index === bridge || index === vxlan) this.#gone.add(index);
    this.#marks.delete(`port ${index}`); // it went with its container
    this.#marks.delete(`ipv6 ${index}`);
    for (const key of this.#marks.keys()) if (key.startsWith(`home ${index} `)) this.#marks.delete(key);
    this.#left.ports.delete(index);
  }

  #address(data: Buffer, there: boolean): void {
    const { devices, state, underlay } = this.#left;
    const index = readU32(data, 4);
    const entry = decodeAddress(data);
    if (entry === undefined) return;
    const cidr = `${entry.address}/${entry.prefix}`;
    if (index === devices.bridge) {
      if (this.#wants().addresses.has(cidr)) this.#judge(`address ${cidr}`, NAME.address(cidr), there);
      return;
    }
    if (entry.address === canonical(state.vxlan.local) && there && underlay !== undefined)
      this.#judge("underlay", NAME.underlay(entry.address), index === underlay.index);
  }

  #neighbour(data: Buffer, there: boolean): void {
    const { devices } = this.#left;
    const index = readS32(data, 4);
    if (index === devices.vxlan) this.#fdb(data, there);
    else if (index !== devices.bridge) this.#home(index, data, there);
    const entry = index === devices.bridge ? decodeNeighbour(data) : undefined;
    const mac = entry === undefined ? undefined : this.#wants().neighbours.get(entry.address);
    if (entry === undefined || mac === undefined) return;
    const fine = there && entry.permanent && entry.mac === mac;
    this.#judge(`neighbour ${entry.address}`, NAME.neighbour(entry.address), fine);
  }

  #fdb(data: Buffer, there: boolean): void {
    const entry = decodeFdb(data);
    if (entry === undefined) return;
    const { mac, vtep, half } = entry;
    if (mac === FLOOD_MAC) {
      if (vtep !== undefined && this.#wants().flood.has(vtep))
        this.#judge(`flood ${vtep}`, NAME.flood(vtep), there);
      return;
    }
    const wanted = this.#wants().forwarding.get(mac);
    if (wanted === undefined) return;
    const right = half === "self" ? vtep === wanted : entry.fixed && entry.sticky;
    // The device tells of a destination that is replaced as gone.
    if (!there && half === "self" && !right) return;
    this.#judge(`fdb ${half} ${mac}`, NAME.fdb(mac), there && right);
  }

  #home(index: number, data: Buffer, there: boolean): void {
    const port = this.#left.ports.get(index);
    const entry = port === undefined ? undefined : decodeFdb(data);
    if (entry?.half !== "master" || this.#wants().homes.get(entry.mac) !== port?.name) return;
    this.#judge(`home ${index} ${entry.mac}`, NAME.fdb(entry.mac), there && entry.fixed && entry.sticky);
  }

  #route(data: Buffer, there: boolean): void {
    const { bridge } = this.#left.devices;
    const ours = decodeRoute(data, TABLE);
    if (ours !== undefined && ours.oif === bridge) {
      const address = ours.dst.split("/")[0] ?? ours.dst;
      if (this.#wants().routes.has(address)) this.#judge(`route ${address}`, NAME.route(address), there);
      return;
    }
    if (there) this.#multicastRoute(data);
    const main = ours === undefined ? decodeRoute(data) : undefined;
    if (main?.oif !== bridge || !this.#wants().connected.has(main.dst)) return;
    this.#judge(`connected ${main.dst}`, NAME.route(main.dst), there);
  }

  /** An interface with IPv6 gets one at once, and an address a second later: on ports somebody switched it on. */
  #multicastRoute(data: Buffer): void {
    const { devices, state, ports } = this.#left;
    const index = data.readUInt8(0) === AF_INET6 ? decodeRoute(data, RT_TABLE_LOCAL)?.oif : undefined;
    const port = index === devices.vxlan ? state.vxlan : ports.get(index ?? 0);
    if (port !== undefined)
      this.#judge(`ipv6 ${index}`, NAME.sysctl(`ipv6/conf/${port.name}/disable_ipv6`), false);
  }

  #rule(data: Buffer, there: boolean): void {
    const { bridgeName } = this.#left.devices;
    for (const { family, iif, table } of decodeRule(data)) {
      if (iif !== bridgeName || table !== TABLE) continue;
      // Without it they are as good as gone, and are made again with it.
      for (const address of this.#wants().routes)
        if (address.includes(":") === (family === 6))
          this.#judge(`rule to ${address}`, NAME.route(address), there);
    }
  }

  #wants(): Wanted {
    const { state } = this.#left;
    const known = wantedOf.get(state) ?? byName(state);
    wantedOf.set(state, known);
    return known;
  }
}

/** Many readings look at one state. */
const wantedOf = new WeakMap<DatapathState, Wanted>();

/** The first attribute of a link's message is its name (rtnl_fill_ifinfo): those of others are not read further. */
function isNamedLikePort(data: Buffer): boolean {
  return data.length > 22 && data.readUInt8(20) === 0x76 && data.readUInt8(21) === 0x77; // "vw"
}

function isBridge(link: Link, { name, mac, mtu }: DatapathState["bridge"]): boolean {
  const { info } = link;
  const quiet = info.kind === "bridge" && !info.stp && !info.mcastSnooping;
  return quiet && link.name === name && link.up && link.mac === mac.toLowerCase() && link.mtu === mtu;
}

function isVxlan(link: Link, { bridge, vxlan }: DatapathState, master: number): boolean {
  const { info } = link;
  const right = info.kind === "vxlan" && !info.learning && info.local === canonical(vxlan.local) && link.up;
  const placed = link.master === master && (link.port === undefined || isQuiet(link.port));
  const mac = vxlanMac(bridge.mac.toLowerCase());
  return right && placed && link.name === vxlan.name && link.mtu === bridge.mtu && link.mac === mac;
}

const isQuiet = ({ learning, neighSuppress }: PortInfo): boolean => !learning && neighSuppress;

function byName(state: DatapathState): Wanted {
  return {
    addresses: new Set(state.bridge.addresses.map(canonicalCidr)),
    flood: new Set(state.flood.map(canonical)),
    forwarding: new Map(state.forwarding.map(({ mac, vtep }) => [mac.toLowerCase(), canonical(vtep)])),
    neighbours: new Map(state.neighbours.map(({ address, mac }) => [canonical(address), mac.toLowerCase()])),
    routes: new Set(state.routes.map(canonical)),
    connected: connectedRoutes(state.bridge.addresses),
    ports: new Map(state.ports.map(({ name, hairpin }) => [name, hairpin])),
    homes: homesOf(state),
  };
}
