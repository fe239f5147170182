// What somebody here wants decided: an operator who removes peers or moves the cluster over, this host as it leaves. One at
// a time is proposed, made of the newest configuration; each is answered once: when a configuration has it, when there is
// no quorum, or when its time is over. How it comes to be decided is the council's business.
import { type Effect, type Instant, reply } from "../effects.ts";
import { type Decided, type Reply, refusal } from "../requests.ts";
import { type Configuration, joining, removing } from "./configuration.ts";
import type { Roster } from "./roster.ts";

/** An operator's answer; below the 10 s the command line waits. */
export const DECISION_PATIENCE_MS = 8_000;

/** Told when the configuration is without this host, or that its voters did not decide so. */
export type LeaveDone = (decided: boolean, out: Effect[]) => void;

/** A decision somebody here waits for. `id` is of the request; `before`: those of `gone` that were gone when it was asked. */
export type Want = { readonly id: number; readonly since: Instant } & (
  | { readonly kind: "remove"; readonly gone: readonly string[]; readonly before: readonly string[] }
  | { readonly kind: "leave"; readonly heir: string; readonly done: LeaveDone }
  | { readonly kind: "join"; readonly cluster: string }
);

/** What wants need of the council around them. */
export interface WantsHost {
  readonly self: string;
  readonly roster: Roster;
  configuration(): Configuration | undefined;
  /** Have it decided. `value` is asked for when the ballot is free to propose one. */
  propose(value: () => Configuration, now: Instant, out: Effect[]): void;
  /** Nobody wants anything any more: a ballot under way need not go on. */
  withdraw(): void;
}

/** The decisions this host waits for, in the order they were asked for. */
export class Wants {
  readonly #host: WantsHost;
  #wants: readonly Want[] = [];
  #ended = false;

  constructor(host: WantsHost) {
    this.#host = host;
  }

  get isEmpty(): boolean {
    return this.#wants.length === 0;
  }

  add(want: Want, out: Effect[]): void {
    this.#wants = [...this.#wants, want];
    this.pursue(want.since, out);
  }

  /** Nobody waits for it any more. It may still be decided. */
  cancel(id: number): void {
    this.#wants = this.#wants.filter((want) => want.id !== id);
  }

  /** The cluster gives itself up: who wanted that has it, and no configuration of this one follows. */
  joins(out: Effect[]): void {
    for (const { id } of this.#wants.filter(({ kind }) => kind === "join")) {
      this.cancel(id);
      out.push(reply(id, { ok: true }));
    }
  }

  /** This host begins anew: nothing is decided here any more. */
  end(out: Effect[]): void {
    this.#ended = true;
    for (const { id } of this.#wants) out.push(reply(id, refusal("cancelled", "this host begins anew")));
    this.#wants = [];
  }

  /** After each new configuration: answer who has what was wanted, get decided what has not been. */
  pursue(now: Instant, out: Effect[]): void {
    for (const want of this.#wants) if (this.#isFulfilled(want)) this.#fulfil(want, out);
    if (this.isEmpty || this.#ended) return;
    if (!this.#host.roster.hasQuorum())
      for (const want of this.#wants) this.#giveUp(want, this.#noQuorum(want, false, now), out);
    const [want] = this.#wants;
    if (want !== undefined) this.#host.propose(() => this.#proposal(want), now, out);
  }

  /** Give up what took too long. */
  tick(now: Instant, out: Effect[]): void {
    for (const want of this.#wants)
      if (now - want.since >= DECISION_PATIENCE_MS) this.#giveUp(want, this.#noQuorum(want, true, now), out);
  }

  nextDeadline(): Instant | undefined {
    if (this.isEmpty) return undefined;
    return Math.min(...this.#wants.map(({ since }) => since + DECISION_PATIENCE_MS));
  }

  #proposal(want: Want): Configuration {
    const { self, roster } = this.#host;
    const c = this.#host.configuration();
    if (c === undefined) throw new Error("nothing to decide upon");
    if (want.kind === "join") return joining(c, want.cluster);
    const gone = want.kind === "leave" ? [self] : want.gone;
    const heir = want.kind === "leave" ? want.heir : self;
    const candidates = roster.living().filter(({ name }) => !gone.includes(name));
    return removing(c, { gone, heir, members: roster.members(), candidates });
  }

  #isFulfilled(want: Want): boolean {
    if (want.kind === "join") return false; // then this host is another
    const gone = want.kind === "leave" ? [this.#host.self] : want.gone;
    return !gone.some((name) => this.#host.roster.isMemberByName(name));
  }

  #fulfil(want: Want, out: Effect[]): void {
    this.cancel(want.id);
    if (want.kind === "leave") want.done(true, out);
    else if (want.kind === "remove")
      out.push(reply(want.id, removed(this.#host.configuration(), this.#host.self, want)));
  }

  #giveUp(want: Want, why: Reply, out: Effect[]): void {
    this.cancel(want.id);
    if (this.isEmpty) this.#host.withdraw();
    if (want.kind === "leave") want.done(false, out);
    else out.push(reply(want.id, why));
  }

  #noQuorum(want: Want, late: boolean, now: Instant): Reply {
    const { roster } = this.#host;
    const lack = roster.lack(now);
    const message = late
      ? `no decision in ${DECISION_PATIENCE_MS / 1000} s: ${lack}; it may still come`
      : lack;
    const hint =
      want.kind === "join"
        ? `run it where the others are; or this host alone: weave reset --join ${want.cluster} --force`
        : "run it where the others are; when they are gone for good: weave rmpeer --force with their names (docs/ipam.md)";
    const later = "look at: weave status ipam; then try again";
    return refusal("no-quorum", message, roster.hasQuorum() ? later : hint);
  }
}

/** The answer to who wanted peers removed, once configuration `c` is without them. */
export function removed(
  c: Configuration | undefined,
  self: string,
  { gone, before }: { readonly gone: readonly string[]; readonly before: readonly string[] },
): Reply {
  if (c === undefined) throw new Error("no decision to tell of");
  const ours = c.remaining?.heir === self;
  const decision: Decided = {
    cluster: c.cluster,
    epoch: c.remaining?.since ?? c.epoch,
    ...(c.remaining === undefined ? {} : { heir: c.remaining.heir }),
    removed: ours ? gone.filter((name) => !before.includes(name)) : [],
    already: ours ? before : gone,
  };
  return { ok: true, decision };
}
