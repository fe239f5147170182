// `weave status` without a section: what an operator looks at first.
import type { Status } from "../../../src/api/status.ts";
import { MAX_COLUMNS } from "../context.ts";
import { instant, wrap } from "../text.ts";
import { quorumLine } from "./decisions.ts";
import { share } from "./ipam.ts";
import { count, peerLabel } from "./names.ts";

const LABEL_COLUMNS = 13;
const MAX_ADDRESSES = 3;

/** `status` without a section, below the verdict. */
export function summary(status: Status): string {
  const { datapath, connections, peers, endpoints } = status;
  const established = connections.filter(({ state }) => state === "established").length;
  // Targets that turned out to be this host will never be connections, nor will hosts that were turned away.
  const wanted = connections.filter(({ state }) => state !== "self" && state !== "refused").length;
  const unreachable = peers.filter(({ reachable, self }) => !reachable && !self).length;
  const local = endpoints.filter((endpoint) => endpoint.local).length;
  const lines: [string, string][] = [
    ["version", `${status.version}, process ${status.pid}, since ${instant(status.since)}`],
    ["peer", `${peerLabel(status)}, address ${status.underlay}, listening on ${hostPort(status.listen)}`],
    ...access(status),
    ["cluster", cluster(status)],
    ...(status.configuration === undefined
      ? []
      : [["decisions", quorumLine(status.configuration)] satisfies [string, string]]),
    [
      "connections",
      `${established} established of ${wanted}${status.discovery ? "" : "; discovery is off: only targets are dialled"}`,
    ],
    ["peers", `${peers.length}${unreachable === 0 ? "" : `, ${unreachable} of them unreachable`}`],
    ...status.ipam.map((range): [string, string] => ["range", rangeUse(range)]),
    [
      "datapath",
      `bridge ${datapath.bridge}, ${datapath.vxlan} (VNI ${datapath.vni}, UDP ${datapath.port}), MTU ${datapath.mtu}${mtuOrigin(datapath)}${datapath.settled ? "" : ", not settled"}`,
    ],
    ...paths(status),
    [
      "exposed",
      status.exposed.map(exposed).join(", ") || "no; to let this host reach containers, run weave expose",
    ],
    ["endpoints", `${endpoints.length}, ${local} of them on this host`],
    ...aside(status),
    ...repairLines(status),
    ...status.problems.map(({ code, object, message }): [string, string] => [
      "problem",
      `${code} ${object}: ${message}`,
    ]),
  ];
  const indent = " ".repeat(LABEL_COLUMNS);
  return lines
    .map(
      ([label, text]) =>
        label.padEnd(LABEL_COLUMNS) + wrap(indent + text, MAX_COLUMNS, indent).slice(LABEL_COLUMNS),
    )
    .join("\n");
}

function cluster({ cluster: id, configuration }: Status): string {
  if (id === undefined) return "none yet";
  if (configuration === undefined) return id;
  return `${id}, epoch ${configuration.epoch}, voters ${configuration.voters.map((v) => v.nickname).join(", ")}`;
}

function rangeUse({ range, state, used, owned, size, taking }: Status["ipam"][number]): string {
  if (state === "waiting") return `${range}, waiting: no address can be given yet`;
  const more =
    taking === undefined ? "" : `; ${count(taking.addresses, "address")} of removed hosts not taken yet`;
  return `${range}: this host uses ${used} of its ${count(owned, "address")}, ${share(owned, size)} of the range${more}`;
}

/** Whose the MTU is, and what it was: containers' interfaces were changed with it. */
function mtuOrigin({ mtu, ownMtu, mtuOf, mtuChange }: Status["datapath"]): string {
  const of = mtuOf === undefined ? "" : ` (that of ${mtuOf}; this host could carry ${ownMtu ?? mtu})`;
  if (mtuChange === undefined) return of;
  const way = mtuChange.to < mtuChange.from ? "lowered" : "raised";
  return `${of}, ${way} from ${mtuChange.from} at ${instant(mtuChange.at)}, running containers too`;
}

/** How many of the ways to other hosts are known to carry packets of full size. */
function paths({ paths: all = [] }: Status): [string, string][] {
  if (all.length === 0) return [];
  const verified = all.filter((path) => path.verified === "yes").length;
  const broken = all.filter((path) => path.verified === "no").length;
  return [
    [
      "paths",
      `${verified} of ${all.length} verified at full size${broken === 0 ? "" : `, ${broken} broken`}`,
    ],
  ];
}

/** As many repairs are told in words. */
const MAX_REPAIRS = 5;

/** What others changed and was put back, the newest first. */
function repairLines({ repairs = [] }: Status): [string, string][] {
  const lines = repairs.slice(0, MAX_REPAIRS).map((repair): [string, string] => {
    const { object, count: times, time, notBefore } = repair;
    const often = times === 1 ? "once" : `${times} times, last`;
    const wait =
      notBefore === undefined ? "" : `; damaged again and again, waits until ${instant(notBefore)}`;
    return ["repaired", `${object}, ${often} at ${instant(time)}${wait}`];
  });
  const more = repairs.length - MAX_REPAIRS;
  if (more > 0) lines.push(["repaired", `and ${more} more; run weave status --json`]);
  return lines;
}

/** A host that began anew says so: its name is another, and what it knew is in a file. */
function aside({ setAside }: Status): [string, string][] {
  if (setAside === undefined) return [];
  const { file, reason, at } = setAside;
  return [["set aside", `at ${instant(at)} (${reason}): ${file}`]];
}

/** Who may join, and what is encrypted: what an operator must know before the port is open to a network. */
function access({ access: found, listen }: Status): [string, string][] {
  if (found === undefined) return [];
  const { password, reach, addresses } = found;
  if (password)
    return [["password", "yes: peers prove it, the mesh is encrypted; containers' packets are not"]];
  if (reach === "host") return [["password", "none; only this host itself can connect"]];
  const from = reach === "everywhere" ? ", from any network if no firewall is in the way," : "";
  const shown = addresses.slice(0, MAX_ADDRESSES).join(", ");
  const more = addresses.length > MAX_ADDRESSES ? ` and ${addresses.length - MAX_ADDRESSES} more` : "";
  return [
    [
      "password",
      `NONE: any machine that reaches TCP ${listen.port} at ${shown}${more}${from} can join and take over traffic; to keep strangers out launch all hosts with --password-file`,
    ],
  ];
}

function exposed({ cidr, masquerade }: Status["exposed"][number]): string {
  return `${cidr} ${masquerade ? "with" : "without"} masquerade`;
}

function hostPort({ host, port }: Status["listen"]): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
