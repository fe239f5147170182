// Looks out for what others do to our objects, so that it is mended within a second: reads the kernel's notifications and,
// less often, the few settings the kernel tells nobody about. Decides nothing and mends nothing; says what drifted.
//
// It looks at fixed times instead of waking up with each message: a thousand links that another engine makes cost one
// reading each third of a second, and many messages about one thing are one.
import type { Accepts } from "./accept/accepts.ts";
import type { Datapath } from "./datapath/datapath.ts";
import { Drift, type Left } from "./datapath/drift.ts";
import { gather, NAME } from "./datapath/objects.ts";
import { driftedSettings } from "./datapath/settings.ts";
import type { Firewall } from "./firewall.ts";
import type { Host } from "./host.ts";
import { TABLE } from "./nftables.ts";
import { NFPROTO_BRIDGE, NFPROTO_INET } from "./rtnetlink/nfnetlink.ts";
import { nftTableOf } from "./rtnetlink/nft-chain.ts";
import { NFTABLES_GROUPS, NotificationSocket, ROUTE_GROUPS } from "./rtnetlink/notifications.ts";
import { NETLINK_NETFILTER, NETLINK_ROUTE } from "./rtnetlink/socket.ts";

/** With a reading of the kernel and an apply behind it, all is over well within a second; idle it must cost next to nothing. */
const TICK_MS = 300;
/** Settings and the tables of iptables-legacy are looked at each so many ticks: some ten files. */
const POLL_TICKS = 2;
/** Where nobody knows what drifted everything is read, which costs milliseconds: no more often than this. */
const LOST_PAUSE_MS = 1_000;

interface Parts {
  readonly datapath: Datapath;
  readonly firewall: Firewall;
  readonly accepts: Accepts;
}

export class Monitor {
  readonly #host: Host;
  readonly #parts: Parts;
  readonly #listener: (objects: readonly string[]) => void;
  readonly #routes: NotificationSocket;
  readonly #tables: NotificationSocket;
  readonly #timer: NodeJS.Timeout;
  #ticks = 0;
  #lostAt = Number.NEGATIVE_INFINITY;
  /** Something may have drifted, and nobody knows what: messages were lost, or the last apply failed. */
  #lost = false;
  #filterTouched = false;
  #looking: Promise<unknown> | undefined;

  /** Listens from now on. */
  constructor(host: Host, parts: Parts, listener: (objects: readonly string[]) => void) {
    this.#host = host;
    this.#parts = parts;
    this.#listener = listener;
    this.#routes = host.run(() => new NotificationSocket(NETLINK_ROUTE, ROUTE_GROUPS));
    this.#tables = host.run(() => new NotificationSocket(NETLINK_NETFILTER, NFTABLES_GROUPS));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    this.#routes.close();
    this.#tables.close();
  }

  /** While the one before waits for an apply, messages wait in the kernel. */
  #tick(): void {
    if (this.#looking !== undefined) return;
    const poll = ++this.#ticks % POLL_TICKS === 0;
    this.#looking = this.#parts.datapath
      .drift((left) => this.#look(left, poll))
      .then((objects) => {
        if (objects.length > 0) this.#listener(objects);
      })
      .catch(() => {}) // the kernel could not be asked: what stands wrong then is found by the next apply that reads it
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #look(left: Left | undefined, poll: boolean): Promise<readonly string[]> {
    const drift = left === undefined ? undefined : new Drift(left);
    if (this.#routes.drain((type, data) => drift?.notice(type, data))) this.#lost = true;
    const tableTouched = this.#drainTables();
    if (left === undefined || drift === undefined) {
      this.#lost = false; // the next apply reads the kernel anyway
      return [];
    }
    const found = left.whole ? [...drift.objects()] : [];
    // An apply that fails may itself leave things as they should not be: that must not make it run again and again.
    if (!left.whole && drift.objects().length > 0) this.#lost = true;
    if (tableTouched && (await this.#parts.firewall.isDamaged())) found.push(NAME.table(TABLE));
    if (poll && left.whole) found.push(...this.#host.run(() => driftedSettings(left.state)));
    if (poll) found.push(...(await this.#missingAccepts(left.state.bridge.name)));
    if (this.#lost && performance.now() - this.#lostAt > LOST_PAUSE_MS) {
      this.#lost = false;
      this.#lostAt = performance.now();
      found.push(NAME.anything());
    }
    return gather(found);
  }

  /** Tables of other firewalls change often and in bursts (a proxy of Kubernetes): they are looked at after that, and not each time. */
  async #missingAccepts(bridge: string): Promise<readonly string[]> {
    const { accepts } = this.#parts;
    const touched = this.#filterTouched;
    this.#filterTouched = false;
    if (touched) accepts.forget();
    return accepts.legacyChanged() || touched ? accepts.missing(bridge) : [];
  }

  /** Whether others touched our table; those in which others decide what is forwarded are noted. */
  #drainTables(): boolean {
    const own = this.#parts.firewall.port;
    let touched = false;
    const lost = this.#tables.drain((type, data, port) => {
      const table = nftTableOf(type, data);
      if (table === undefined) return;
      const isOurs = table.family === NFPROTO_INET || table.family === NFPROTO_BRIDGE;
      if (isOurs && table.table === TABLE) touched ||= port !== own;
      else this.#filterTouched ||= this.#parts.accepts.concerns(table);
    });
    if (lost) this.#filterTouched = true;
    return touched || lost;
  }
}
