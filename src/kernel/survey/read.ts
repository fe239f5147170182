// Reads each part of a survey. Changes nothing: requests that ask, and `nft --check`, which the kernel takes back. Asking
// whether there is a kind of link may load its module, as starting the daemon would.
import { execFile } from "node:child_process";
import { type Cidr, type Family, formatCidr } from "../../core/address/cidr.ts";
import { Accepts } from "../accept/accepts.ts";
import { FIREWALLD_TABLE } from "../accept/firewalld.ts";
import { removeBridgeTable, renderBridgeTable } from "../bridge-table.ts";
import { Host } from "../host.ts";
import { inspect } from "../inspect.ts";
import { renderTable, TABLE } from "../nftables.ts";
import { DirectSocket } from "../rtnetlink/direct.ts";
import { listLinks } from "../rtnetlink/link.ts";
import { NFPROTO_INET } from "../rtnetlink/nfnetlink.ts";
import { listBaseChains, listRuleBytes } from "../rtnetlink/nft-chain.ts";
import { type Element, listSet } from "../rtnetlink/nft-set.ts";
import { listRoutes } from "../rtnetlink/route.ts";
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from "../rtnetlink/socket.ts";
import type { Part, PartName } from "./parts.ts";

/** A check of our tables takes 20 ms. */
const TRIAL_MS = 4_000;

/** Families of nf_tables (linux/netfilter.h) in nft's words. */
const FAMILY_NAMES: ReadonlyMap<number, string> = new Map([
  [NFPROTO_INET, "inet"],
  [2, "ip"],
  [7, "bridge"],
  [10, "ip6"],
]);
/** NF_INET_LOCAL_IN and NF_INET_FORWARD; NF_BR_* have the same numbers. */
const HOOKS: ReadonlyMap<number, "input" | "forward"> = new Map([
  [1, "input"],
  [2, "forward"],
]);

/** How each part is read. `bridge` is the name of ours. */
export const readers: { readonly [K in PartName]: (bridge: string) => Promise<Part<K>> } = {
  async host() {
    const host = new Host();
    const { routes, addresses, missing, defaultSource } = await withRoutes((socket) => inspect(host, socket));
    return {
      routes: [...routes],
      addresses: [...addresses],
      missing: [...missing],
      ...(defaultSource === undefined ? {} : { defaultSource }),
    };
  },

  links: () =>
    withRoutes(async (socket) => {
      const routes = await listRoutes(socket);
      const advertised = new Set(routes.filter((route) => route.advertised).map(({ oif }) => oif));
      return (await listLinks(socket)).map(({ index, name, up, mtu, info }) => ({
        index,
        name,
        up,
        mtu,
        kind: info.kind === "other" ? info.name : info.kind,
        ...(info.kind === "vxlan" ? { port: info.port } : {}),
        ...(info.kind === "vxlan" && info.local !== undefined ? { local: info.local } : {}),
        advertised: advertised.has(index),
      }));
    }),

  trial: (bridge) =>
    new Promise((resolve) => {
      const inet = renderTable({
        ...{ bridge, vxlanPort: 6784, controlPort: 6783, controls: [], overlay: ["10.32.0.0/12"] },
        ...{ masquerade: [], exempt: [], portMaps: [], peers: [], exposed: [] },
      });
      const text = inet + removeBridgeTable(TABLE) + renderBridgeTable(TABLE);
      execFile("nft", ["--check", text], { timeout: TRIAL_MS, killSignal: "SIGKILL" }, (error, _, stderr) => {
        // That it is missing is told by `host`.
        if (error === null || error.code === "ENOENT") return resolve({});
        const [first = ""] = stderr.trim().split("\n");
        resolve({ refusal: error.killed ? `nft did not end within ${TRIAL_MS / 1000} s` : first });
      });
    }),

  async accepts(bridge) {
    const accepts = new Accepts(new Host());
    try {
      return (await accepts.survey(bridge)).map((one) => ({ ...one, commands: [...one.commands] }));
    } finally {
      await accepts.close();
    }
  },

  drops: (bridge) =>
    withNetfilter(async (socket) => {
      const found: Part<"drops"> = [];
      for (const { family, table, chain, hook, drops } of await listBaseChains(socket)) {
        const [familyName, hookName] = [FAMILY_NAMES.get(family), HOOKS.get(hook)];
        if (!drops || familyName === undefined || hookName === undefined) continue;
        if (table === TABLE || table === FIREWALLD_TABLE) continue;
        const rules = await listRuleBytes(socket, { family, table }, chain);
        const namesBridge = rules.some((rule) => rule.includes(`${bridge}\0`));
        found.push({ family: familyName, table, chain, hook: hookName, namesBridge });
      }
      return found;
    }),

  overlay: () =>
    withNetfilter(async (socket) => {
      const ranges: string[] = [];
      for (const family of [4, 6] as const) {
        const elements = await listSet(socket, { table: TABLE, set: `overlay${family}` });
        ranges.push(...blocksOf(elements ?? [], family).map(formatCidr));
      }
      return ranges;
    }),
};

/** The blocks of addresses that the elements of a set of intervals stand for, in order. */
export function blocksOf(elements: readonly Element[], family: Family): readonly Cidr[] {
  const bits = family === 4 ? 32 : 128;
  const keys = (isEnd: boolean): bigint[] =>
    elements
      .filter(({ end }) => (end === true) === isEnd)
      .map(({ key }) => numberOf(key))
      .sort((a, b) => (a < b ? -1 : 1));
  const ends = keys(true);
  return keys(false).flatMap((value) => {
    // What ends with the address space has no end.
    const after = ends.find((end) => end > value) ?? 1n << BigInt(bits);
    const length = (after - value).toString(2).length - 1;
    return 1n << BigInt(length) === after - value ? [{ family, value, prefix: bits - length }] : [];
  });
}

const numberOf = (key: Buffer): bigint => BigInt(`0x${key.toString("hex")}`);

async function withRoutes<T>(read: (socket: DirectSocket) => Promise<T>): Promise<T> {
  const socket = new DirectSocket(NETLINK_ROUTE);
  try {
    return await read(socket);
  } finally {
    await socket.close();
  }
}

async function withNetfilter<T>(read: (socket: NetlinkSocket) => Promise<T>): Promise<T> {
  const socket = new NetlinkSocket(NETLINK_NETFILTER);
  try {
    return await read(socket);
  } finally {
    await socket.close();
  }
}
