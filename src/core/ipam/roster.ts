// Who there is, as a decision needs it: members by name, those that answer with their disks, voters that do not, and which
// peer an operator means. Reads what gossip knows; remembers only who was gone, and since when voters have been silent.
import type { Instant } from "../effects.ts";
import type { PeerRecord } from "../mesh/peer-record.ts";
import { type Reply, refusal } from "../requests.ts";
import { type Configuration, elect, isMember, quorum, type Voter } from "./configuration.ts";

/** A reboot is no reason to replace a voter. */
export const VOTER_PATIENCE_MS = 600_000;

/** What a roster needs of the node around it. */
export interface RosterHost {
  readonly self: Voter;
  records(): ReadonlyMap<string, PeerRecord>;
  reachable(): ReadonlySet<string>;
  /** Peers known and not reachable, since when. */
  unreachable(): ReadonlyMap<string, Instant>;
  /** Owners of ranges that are not stale. */
  owners(): Iterable<string>;
  label(peer: string): string;
}

/** Who belongs to the cluster, as far as this host knows at the moment it is asked. */
export class Roster {
  readonly #host: RosterHost;
  readonly #configuration: () => Configuration | undefined;
  /** Peers seen removed since the start, with what they were called: who asks for it again is told that it is done. */
  readonly #gone = new Map<string, string>();
  /** Voters that do not answer, since when. Those that took back what is known of them are known here alone. */
  readonly #absent = new Map<string, Instant>();

  constructor(host: RosterHost, configuration: () => Configuration | undefined) {
    this.#host = host;
    this.#configuration = configuration;
  }

  isMember(name: string, joined: number): boolean {
    const c = this.#configuration();
    return c === undefined || isMember(c, name, joined);
  }

  isMemberByName(name: string): boolean {
    return this.isMember(name, this.#host.records().get(name)?.joined ?? 0);
  }

  /** All of the cluster, by name, reachable or not. */
  members(): readonly string[] {
    const c = this.#configuration();
    if (c === undefined) return [];
    const recorded = [...this.#host.records()]
      .filter(([name, { joined }]) => joined !== undefined && isMember(c, name, joined))
      .map(([name]) => name);
    const named = [...(c.remaining?.names ?? []), ...c.voters.map(({ name }) => name)];
    return [...new Set([...recorded, ...named, ...this.#host.owners(), this.#host.self.name])];
  }

  /** Members that answer, this host among them, with their disks. */
  living(): readonly Voter[] {
    const { self } = this.#host;
    const reachable = this.#host.reachable();
    const others = [...this.#host.records()].flatMap(([name, { incarnation, joined }]) =>
      name !== self.name && reachable.has(name) && joined !== undefined && this.isMember(name, joined)
        ? [{ name, incarnation }]
        : [],
    );
    return [self, ...others];
  }

  /** Voters that do not answer. */
  missingVoters(): readonly string[] {
    const reachable = this.#host.reachable();
    return (this.#configuration()?.voters ?? [])
      .map(({ name }) => name)
      .filter((name) => name !== this.#host.self.name && !reachable.has(name));
  }

  /** Whether the voters that answer are enough. */
  hasQuorum(): boolean {
    const voters = this.#configuration()?.voters.length ?? 0;
    return voters - this.missingVoters().length >= quorum(voters);
  }

  /** What a decision lacks, for people: "2 of the 3 voters must agree; not reachable: bob (for 20 s)". */
  lack(now: Instant): string {
    const voters = this.#configuration()?.voters.length ?? 0;
    const away = this.#host.unreachable();
    const missing = this.missingVoters().map((name) => {
      const since = away.get(name);
      const ago = since === undefined ? "" : ` (for ${duration(now - since)})`;
      return `${this.#host.label(name)}${ago}`;
    });
    const need = `${quorum(voters)} of the ${voters} voters must agree`;
    return missing.length === 0 ? need : `${need}; not reachable: ${missing.join(", ")}`;
  }

  // --- whether the voters are still the right ones ---

  /** Take down which voters do not answer. */
  noteAbsent(now: Instant): void {
    const missing = this.missingVoters();
    for (const name of this.#absent.keys()) if (!missing.includes(name)) this.#absent.delete(name);
    const away = this.#host.unreachable();
    for (const name of missing) if (!this.#absent.has(name)) this.#absent.set(name, away.get(name) ?? now);
  }

  /** When one of them will have been missing for too long. */
  patienceEnds(now: Instant): Instant | undefined {
    const later = [...this.#absent.values()].map((at) => at + VOTER_PATIENCE_MS).filter((at) => at > now);
    return later.length === 0 ? undefined : Math.min(...later);
  }

  /**
   * The voters there should be, if this host is to propose them. Those that are missing for long give way, free seats are
   * filled. Never just dropped: a minority would decide alone.
   */
  betterVoters(now: Instant): readonly Voter[] | undefined {
    const c = this.#configuration();
    if (c === undefined || !this.hasQuorum()) return undefined;
    const missing = new Set(this.missingVoters());
    const first = c.voters.find(({ name }) => !missing.has(name))?.name;
    if (first !== this.#host.self.name) return undefined;
    const kept = c.voters.filter(({ name }) => (this.#absent.get(name) ?? now) + VOTER_PATIENCE_MS > now);
    const voters = elect(kept, this.living(), this.members().length);
    const same = voters.map((v) => v.name).join() === c.voters.map((v) => v.name).join();
    return same || voters.length < c.voters.length ? undefined : voters;
  }

  // --- whom an operator means ---

  /** A peer is forgotten that belongs to the cluster no more. */
  noteGone(name: string, nickname: string): void {
    this.#gone.set(name, nickname);
  }

  /** Names or nicknames to names, of living and of removed peers. */
  resolve(texts: readonly string[]): { readonly names: readonly string[] } | Reply {
    const names: string[] = [];
    for (const text of texts) {
      const found = this.#called(text);
      const [name] = found;
      if (found.length > 1) {
        const message = `${found.length} peers are called ${text}: ${found.join(", ")}`;
        return refusal("ambiguous-peer", message, "give the name instead");
      }
      if (name === undefined)
        return refusal("unknown-peer", `there is no peer "${text}"`, "run: weave status peers");
      if (name === this.#host.self.name) {
        const message = `${text} is this host itself`;
        return refusal("bad-request", message, "to leave with its ranges handed over: weave reset");
      }
      if (name !== text && this.#host.reachable().has(name)) {
        const message = `${text} (${name}) answers; a removed host begins anew under another name`;
        return refusal(
          "bad-request",
          message,
          `to leave in order, there: weave reset; or, if you mean it: weave rmpeer ${name}`,
        );
      }
      names.push(name);
    }
    return { names: [...new Set(names)] };
  }

  #called(text: string): readonly string[] {
    const records = this.#host.records();
    if (records.has(text) || this.members().includes(text)) return [text];
    const living = [...records].filter(([, { nickname }]) => nickname === text).map(([name]) => name);
    if (living.length > 0) return living;
    const gone = [...this.#gone].filter(([name, nickname]) => name === text || nickname === text);
    return gone.slice(-1).map(([name]) => name);
  }
}

/** For people. */
function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
