// `weave status ipam`: who decides, who owns how much of each range and which parts, what is wrong there and what mends it.
import type { Status } from "../../../src/api/status.ts";
import { MAX_COLUMNS } from "../context.ts";
import { wrap } from "../text.ts";
import { decisions, type IpamStatus, lostAddresses, takingLine } from "./decisions.ts";
import { peerLabel, shortPeerLabel } from "./names.ts";
import { reachability } from "./peers.ts";
import { type Column, table } from "./table.ts";

type Range = Status["ipam"][number];
type Owner = Range["owners"][number];

/** More blocks than this are counted, not listed. */
const MAX_BLOCKS = 8;

/** `status ipam`: who decides, then each range with its owners, then addresses that were lost. */
export function ipamTables(status: IpamStatus): string {
  if (status.ipam.length === 0) return "none: the daemon is still starting; run weave status again";
  const tables = status.ipam.map((range) => rangeTable(range, status.peers));
  return [...decisions(status), ...tables, ...lostAddresses(status)].join("\n\n");
}

function rangeTable(range: Range, peers: Status["peers"]): string {
  const { size, defaultSubnet, state } = range;
  const subnet = defaultSubnet === range.range ? "" : `, default subnet ${defaultSubnet}`;
  const head = wrap(`range ${range.range}: ${size} addresses${subnet}, ${state}`, MAX_COLUMNS, "  ");
  if (range.owners.length === 0) {
    return `${head}\nnone: no host has founded the cluster yet, or none that knows it is connected; run weave status`;
  }
  const taking = range.taking === undefined ? [] : [takingLine(range.taking, range, peers)];
  return [head, ...taking, table(columns(range, peers), range.owners, below)].join("\n");
}

function columns({ size, used }: Range, peers: Status["peers"]): Column<Owner>[] {
  const since = new Map(peers.map(({ name, unreachableSince }) => [name, unreachableSince]));
  const state = (owner: Owner): string => {
    const unreachableSince = owner.unreachableSince ?? since.get(owner.name);
    const reached = reachability({
      ...owner,
      ...(unreachableSince === undefined ? {} : { unreachableSince }),
    });
    return owner.removed === true ? `removed, ${reached}` : reached;
  };
  return [
    { title: "OWNER", cell: peerLabel, least: 16, cut: shortPeerLabel },
    { title: "ADDRESSES", cell: ({ addresses }) => String(addresses), right: true },
    { title: "SHARE", cell: ({ addresses }) => share(addresses, size), right: true },
    { title: "USED", cell: (owner) => String(owner.used ?? (owner.self ? used : "-")), right: true },
    { title: "STATE", cell: state, least: 32 },
  ];
}

function below(owner: Owner): string[] {
  const { problem, command } = owner;
  const mend = command === undefined ? "" : `; run ${command}`;
  const wrong = problem === undefined ? [] : [wrap(`    ${problem}${mend}`, MAX_COLUMNS, "    ")];
  return [...blocks(owner), ...wrong];
}

function blocks({ ranges }: Owner): string[] {
  if (ranges.length === 0) return [];
  const more = ranges.length > MAX_BLOCKS ? ` and ${ranges.length - MAX_BLOCKS} more` : "";
  return [wrap(`    ${ranges.slice(0, MAX_BLOCKS).join(" ")}${more}`, MAX_COLUMNS, "    ")];
}

/** Of the whole range; one decimal, but a little is not nothing. */
export function share(part: number, whole: number): string {
  const percent = whole === 0 ? 0 : (100 * part) / whole;
  return percent > 0 && percent < 0.05 ? "<0.1%" : `${percent.toFixed(1)}%`;
}
