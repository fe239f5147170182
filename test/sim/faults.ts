// What may go wrong between the core and the world, host by host: frames doubled, late or lost, a clock that is off. Sits
// around the ports; the core and the transport know nothing of it.
import type { Random } from "../../src/core/random.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { ConnId, Transport } from "../../src/ports/transport.ts";
import type { Schedule } from "./schedule.ts";

/** Every kind of fault the simulator knows, by the name the command line takes. */
export const FAULTS = [
  "partition",
  "crash",
  "diskloss",
  "loss",
  "reorder",
  "duplicate",
  "clockskew",
  "removal",
] as const;
/** What may go wrong in a run. */
export type Fault = (typeof FAULTS)[number];

/** Shares of frames. */
export interface LineFaults {
  /** Overtaken by the next one, or this much late when none follows. */
  readonly reorder: number;
  readonly duplicate: number;
  /** Of messages that others hand on: a relay died with it. */
  readonly lostOnTheWay: number;
}

/** Every frame arrives, in order, once. */
export const NO_LINE_FAULTS: LineFaults = { reorder: 0, duplicate: 0, lostOnTheWay: 0 };

const LATE_MS = 200;

/**
 * A transport that keeps less than TCP promises: frames of one connection may overtake each other and arrive twice. Not
 * the first one, without which there is no connection. None is lost for good: who loses frames loses connections, which is
 * the network's part.
 */
export function unruly(inner: Transport, faults: LineFaults, random: Random, schedule: Schedule): Transport {
  const held = new Map<ConnId, { readonly text: string; readonly ack: boolean }>();
  const release = (conn: ConnId): void => {
    const late = held.get(conn);
    held.delete(conn);
    if (late !== undefined) inner.send(conn, late.text, { ack: late.ack });
  };
  return {
    ...passedOn(inner),
    send(conn, text, options) {
      if (text.startsWith(`{"t":"hello"`)) {
        inner.send(conn, text, options);
        return;
      }
      if (random.next() < faults.lostOnTheWay && text.startsWith(`{"t":"to"`)) return;
      if (!held.has(conn) && random.next() < faults.reorder) {
        held.set(conn, { text, ack: options.ack });
        schedule.at(schedule.now() + LATE_MS, () => release(conn));
        return;
      }
      inner.send(conn, text, options);
      if (random.next() < faults.duplicate) inner.send(conn, text, { ack: false });
      release(conn);
    },
  };
}

/** Every method of a transport, as an object that others may change. */
export const passedOn = (inner: Transport): Transport => ({
  onEvent: (listener) => inner.onEvent(listener),
  dial: (dial, target) => inner.dial(dial, target),
  send: (conn, text, options) => inner.send(conn, text, options),
  close: (conn, reason) => inner.close(conn, reason),
  shutdown: () => inner.shutdown(),
});

/**
 * A host's own idea of time: off by `offset`, and running at `rate`. Like every daemon's it never runs backwards while the
 * process lives, but may jump ahead.
 */
export class HostClock implements Clock {
  readonly #schedule: Schedule;
  readonly #rate: number;
  #offset: number;
  #at: number | undefined;
  #ring: () => void = () => {};
  /** When the one happening that counts is due, in everybody's time. */
  #dueAt = Number.POSITIVE_INFINITY;
  #generation = 0;

  constructor(schedule: Schedule, skew: { readonly rate: number; readonly offset: number }) {
    this.#schedule = schedule;
    this.#rate = skew.rate;
    this.#offset = skew.offset;
  }

  /** Whole milliseconds, as of a real one; what the multiplication loses is not to make an alarm ring too early. */
  now(): number {
    return Math.floor(this.#schedule.now() * this.#rate + this.#offset + 1e-6);
  }

  setAlarm(at: number | undefined, ring: () => void): void {
    this.#at = at;
    this.#ring = ring;
    this.#arm();
  }

  /** The clock was set, or the machine slept. */
  jump(ms: number): void {
    this.#offset += ms;
    this.#arm();
  }

  /** A later alarm leaves the earlier happening as it is: most alarms are only put off. */
  #arm(): void {
    if (this.#at === undefined) return;
    const exact = (Math.ceil(this.#at) - this.#offset) / this.#rate;
    // A microsecond for what dividing and multiplying by the rate loses: an alarm must not come before its time.
    const due = this.#rate === 1 ? exact : exact + 0.001;
    if (this.#dueAt <= due) return;
    this.#dueAt = due;
    const mine = ++this.#generation;
    this.#schedule.at(due, () => {
      if (this.#generation !== mine) return;
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.#fire();
    });
  }

  #fire(): void {
    if (this.#at === undefined) return;
    if (this.now() < this.#at) {
      this.#arm();
      return;
    }
    this.#at = undefined;
    this.#ring();
  }
}
