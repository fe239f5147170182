// What `weave status` says of decisions: the voters and whether they can decide, removals under way, clusters continued
// by force, and containers that lost their address to one.
import type { Status } from "../../../src/api/status.ts";
import { MAX_COLUMNS } from "../context.ts";
import { instant, wrap } from "../text.ts";
import { count, peerLabel } from "./names.ts";

/** What `status ipam` is made from. */
export type IpamStatus = Pick<Status, "name" | "cluster" | "ipam" | "peers" | "configuration" | "lost">;
type Configuration = NonNullable<Status["configuration"]>;
type Range = Status["ipam"][number];
type Taking = NonNullable<Status["ipam"][number]["taking"]>;

/** "epoch 3, 2 of 3 voters reachable, 2 needed". */
export function quorumLine({ epoch, voters, quorum }: Configuration): string {
  const answering = voters.filter(({ reachable }) => reachable).length;
  const lacking = answering < quorum ? ": nothing can be decided" : "";
  return `epoch ${epoch}, ${answering} of ${count(voters.length, "voter")} reachable, ${quorum} needed${lacking}`;
}

/** One paragraph, or none before there is a cluster. */
export function decisions(status: IpamStatus): string[] {
  const { configuration, cluster } = status;
  if (configuration === undefined || cluster === undefined) return [];
  const { voters, remaining, lineage } = configuration;
  const lines = [`cluster ${cluster}: ${quorumLine(configuration)}`];
  lines.push(`  voters: ${voters.map((voter) => labelled(voter.name, status)).join(", ")}`);
  if (remaining !== undefined) {
    const { since, heir, names } = remaining;
    lines.push(
      `  last removal in epoch ${since}: ${count(names, "host")} stayed; heir ${labelled(heir, status)}`,
    );
  }
  for (const { cluster: old, epoch, by, removed, at } of [...lineage].reverse()) {
    const without = removed.map((name) => label(name, status)).join(", ");
    lines.push(
      `  continues ${old} from epoch ${epoch}, by force of ${label(by, status)} at ${instant(at)}, without ${without}`,
    );
  }
  return [lines.map((line) => wrap(line, MAX_COLUMNS, "    ")).join("\n")];
}

/** Whose addresses wait for whom. */
export function takingLine(
  { addresses, of, heir, waitingFor }: Taking,
  known: Pick<Range, "owners">,
  peers: Status["peers"],
): string {
  const status = { peers };
  // The removed are no peers any more, but owners still.
  const owners = of.map((name) => label(name, { peers: known.owners })).join(", ");
  const whom =
    waitingFor.length === 0
      ? `${label(heir, status)} takes them`
      : `${label(heir, status)} takes them when ${waitingFor.map((name) => labelled(name, status)).join(", ")} ${waitingFor.length === 1 ? "has" : "have"} answered`;
  return wrap(`  ${count(addresses, "address")} of ${owners}: ${whom}`, MAX_COLUMNS, "    ");
}

/** One paragraph, or none. */
export function lostAddresses({ lost = [], ...status }: IpamStatus): string[] {
  if (lost.length === 0) return [];
  const lines = lost.map(
    ({ address, holder, by }) =>
      `  ${address} of ${holder}: held on ${label(by, status)} now; delete this container`,
  );
  const head = "addresses of containers here that others hold since this host was removed:";
  return [[head, ...lines].map((line) => wrap(line, MAX_COLUMNS, "    ")).join("\n")];
}

function label(
  name: string,
  { peers }: { readonly peers: readonly { readonly name: string; readonly nickname: string }[] },
): string {
  return peerLabel(peers.find((peer) => peer.name === name) ?? { name, nickname: name });
}

/** With what matters to whoever waits for it. */
function labelled(name: string, status: Pick<Status, "peers">): string {
  const peer = status.peers.find((one) => one.name === name);
  if (peer?.self === true) return `${label(name, status)} (this host)`;
  if (peer?.reachable === true) return label(name, status);
  const since = peer?.unreachableSince;
  return `${label(name, status)} (${since === undefined ? "unreachable" : `unreachable since ${instant(since)}`})`;
}
