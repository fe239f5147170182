import { describe, expect, it } from "vitest";
import { plainConfig } from "../../test/support/node-config.ts";
import type { Effect, Input } from "../core/effects.ts";
import { event, persist, reply } from "../core/effects.ts";
import { Node } from "../core/node.ts";
import { seededRandom } from "../core/random.ts";
import { readState } from "../core/records.ts";
import type { Request } from "../core/requests.ts";
import type { TransportEvent } from "../ports/transport.ts";
import { Runner } from "./runner.ts";

/** A node that answers as it is told. */
class Scripted extends Node {
  readonly handled: Input[] = [];
  readonly answers: (readonly Effect[])[];
  deadline: number | undefined;

  constructor(...answers: (readonly Effect[])[]) {
    super(plainConfig("alice", "10.32.0.0/24"), readState(new Map()), seededRandom(1));
    this.answers = answers;
  }

  override start(): readonly Effect[] {
    return this.answers.shift() ?? [];
  }

  override handle(input: Input): readonly Effect[] {
    this.handled.push(input);
    return this.answers.shift() ?? [];
  }

  override nextDeadline(): number | undefined {
    return this.deadline;
  }
}

const put = (key: string) => ({ type: "put", key, value: 1 }) as const;
const send = (text: string): Effect => ({ type: "send", conn: 1, text, ack: false });
const frame = (text: string): TransportEvent => ({ type: "conn-frame", conn: 1, text });
const ask: Request = { kind: "connect", targets: [], replace: false };

/** A runner whose ports write down what they are asked; writes end when `settle` is called, or at once. */
function rig(
  node: Scripted,
  options: { lateStore?: boolean; storeThrows?: Error; onSend?: (text: string) => void } = {},
) {
  const done: string[] = [];
  const fatal: unknown[] = [];
  const writes: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  let listener: (event: TransportEvent) => void = () => {};
  let alarm: { at: number | undefined; ring: () => void } | undefined;
  const runner = new Runner(node, {
    transport: {
      onEvent: (l) => (listener = l),
      dial: (dial, target) => done.push(`dial ${dial} ${target}`),
      send: (_conn, text) => {
        done.push(`send ${text}`);
        options.onSend?.(text);
      },
      close: (_conn, { code }) => done.push(`close ${code}`),
      shutdown: async () => {},
    },
    store: {
      load: async () => new Map(),
      write: (ops, { sync }) => {
        done.push(`write ${ops.map((op) => op.key).join()}${sync ? " sync" : ""}`);
        if (options.storeThrows !== undefined) throw options.storeThrows;
        return options.lateStore === true
          ? new Promise((resolve, reject) => writes.push({ resolve, reject }))
          : undefined;
      },
      close: async () => {},
    },
    clock: { now: () => 1, setAlarm: (at, ring) => (alarm = { at, ring }) },
    datapathChanged: () => done.push("datapath"),
    onEvent: ({ kind }) => done.push(`event ${kind}`),
    onRejoin: ({ reason, expect: cluster }) => done.push(`rejoin ${reason} ${cluster}`),
    onFatal: (error) => fatal.push(error),
  });
  return {
    runner,
    done,
    fatal,
    writes,
    alarm: () => alarm,
    receive: (text: string) => listener(frame(text)),
    /** What hangs on a promise has happened after this. */
    settle: async () => {
      for (let i = 0; i < 10; i++) await Promise.resolve();
    },
  };
}

describe("effects", () => {
  it("are run in order, each by its port", async () => {
    const node = new Scripted([
      event("founded", "info", {}),
      persist([put("a")], true),
      send("1"),
      { type: "dial", dial: 7, target: "bob" },
      persist([put("b")], false),
      { type: "close", conn: 1, reason: { code: "silent", message: "" } },
      { type: "datapath" },
    ]);
    const { runner, done } = rig(node);
    await runner.start();
    expect(done).toEqual([
      "event founded",
      "write a sync",
      "send 1",
      "dial 7 bob",
      "write b",
      "close silent",
      "datapath",
    ]);
  });

  it("behind a persist wait until the store has answered, and so does all that comes meanwhile", async () => {
    const node = new Scripted([persist([put("a")], true), send("after a")], [send("answer")]);
    const { runner, done, writes, receive, settle } = rig(node, { lateStore: true });
    let started = false;
    const start = runner.start().then(() => (started = true));
    receive("meanwhile");
    await settle();
    expect(done).toEqual(["write a sync"]);
    expect(node.handled).toEqual([]);
    expect(started).toBe(false);
    writes[0]?.resolve();
    await start;
    expect(done).toEqual(["write a sync", "send after a", "send answer"]);
    expect(node.handled).toEqual([frame("meanwhile")]);
  });

  it("that stand side by side and persist become one batch, synced if one of them is", async () => {
    const node = new Scripted([
      persist([put("a")], false),
      persist([put("b"), put("c")], true),
      persist([], false),
      send("1"),
      persist([put("d")], false),
      persist([], true),
      send("2"),
      persist([], true),
    ]);
    const { runner, done } = rig(node);
    await runner.start();
    expect(done).toEqual(["write a,b,c sync", "send 1", "write d sync", "send 2"]);
  });

  it("that cause an input at once are finished before it is handled", async () => {
    const node = new Scripted([send("1"), send("2")], [send("3")]);
    const rigged = rig(node, { onSend: (text) => text === "1" && rigged.receive("echo") });
    await rigged.runner.start();
    expect(rigged.done).toEqual(["send 1", "send 2", "send 3"]);
  });
});

describe("the alarm", () => {
  it("is set to the node's next deadline after every input, and hands it in", async () => {
    const node = new Scripted();
    node.deadline = 500;
    const { runner, alarm, receive } = rig(node);
    await runner.start();
    expect(alarm()?.at).toBe(500);
    const { ring } = alarm() ?? {};
    node.deadline = 900;
    ring?.();
    expect(node.handled).toEqual([{ type: "deadline", scheduled: 500 }]);
    expect(alarm()?.at).toBe(900);
    node.deadline = undefined;
    receive("x");
    expect(alarm()?.at).toBeUndefined();
  });

  it("of a deadline that lay in the past already does not tell of a process that was away", async () => {
    const node = new Scripted();
    node.deadline = -60_000;
    const { runner, alarm } = rig(node);
    await runner.start();
    alarm()?.ring();
    expect(node.handled).toEqual([{ type: "deadline", scheduled: 1 }]);
  });
});

describe("requests", () => {
  it("are answered by number", async () => {
    const node = new Scripted([], [], [reply(2, { ok: true, addresses: ["two"] }), reply(1, { ok: true })]);
    const { runner } = rig(node);
    await runner.start();
    const [first, second] = [runner.request(ask), runner.request(ask)];
    expect(await second).toEqual({ ok: true, addresses: ["two"] });
    expect(await first).toEqual({ ok: true });
    expect(node.handled).toEqual([1, 2].map((id) => ({ type: "request", id, request: ask })));
  });

  it("whose caller goes away are cancelled in the core, which has the last word", async () => {
    const node = new Scripted([], [], [reply(1, { ok: true, addresses: ["granted before"] })]);
    const { runner } = rig(node);
    await runner.start();
    const caller = new AbortController();
    const answer = runner.request(ask, caller.signal);
    caller.abort();
    expect(node.handled.map((input) => input.type)).toEqual(["request", "cancel"]);
    expect(await answer).toEqual({ ok: true, addresses: ["granted before"] });
  });

  it("whose caller is gone already are not asked", async () => {
    const node = new Scripted();
    const { runner } = rig(node);
    await runner.start();
    expect(await runner.request(ask, AbortSignal.abort())).toMatchObject({ ok: false, code: "cancelled" });
    expect(node.handled).toEqual([]);
  });

  it("that were answered are not cancelled when their caller closes", async () => {
    const node = new Scripted([], [reply(1, { ok: true })]);
    const { runner } = rig(node);
    await runner.start();
    const caller = new AbortController();
    await runner.request(ask, caller.signal);
    caller.abort();
    expect(node.handled).toHaveLength(1);
  });
});

describe("stop", () => {
  it("answers those who wait, silences the alarm and takes nothing more in", async () => {
    const node = new Scripted();
    node.deadline = 500;
    const { runner, alarm, receive, done } = rig(node);
    await runner.start();
    const waiting = runner.request(ask);
    runner.stop();
    receive("late");
    expect(await waiting).toMatchObject({ ok: false, code: "cancelled", message: "weaver is stopping" });
    expect(await runner.request(ask)).toMatchObject({ ok: false, code: "cancelled" });
    expect(alarm()?.at).toBeUndefined();
    expect(node.handled.map((input) => input.type)).toEqual(["request"]);
    expect(done).toEqual([]);
  });

  it("in the middle of a persist leaves what stands behind it undone", async () => {
    const { runner, done, writes, settle } = rig(new Scripted([persist([put("a")], true), send("1")]), {
      lateStore: true,
    });
    const start = runner.start();
    runner.stop();
    writes[0]?.resolve();
    await start;
    await settle();
    expect(done).toEqual(["write a sync"]);
  });
});

describe("a rejoin", () => {
  it("stops the runner behind all that stands before it, and is handed on", async () => {
    const node = new Scripted(
      [],
      [],
      [persist([put("a")], true), send("1"), { type: "rejoin", reason: "joins", expect: "c2" }],
    );
    const { runner, done, writes, receive, settle } = rig(node, { lateStore: true });
    await runner.start();
    const waiting = runner.request(ask);
    receive("the decision");
    receive("too late");
    expect(done).toEqual(["write a sync"]);
    writes[0]?.resolve();
    await settle();
    expect(done).toEqual(["write a sync", "send 1", "rejoin joins c2"]);
    expect(node.handled).toHaveLength(2);
    expect(await waiting).toMatchObject({
      ok: false,
      code: "cancelled",
      message: expect.stringContaining("begins anew"),
    });
  });
});

describe("a store that fails", () => {
  const broken = new Error("no space left on device");

  it("late: is fatal once, and nothing is sent after it", async () => {
    const node = new Scripted(
      [],
      [persist([put("a")], true), send("a"), persist([put("b")], true)],
      [send("c")],
    );
    const { runner, done, fatal, writes, receive, settle } = rig(node, { lateStore: true });
    await runner.start();
    const waiting = runner.request(ask);
    receive("meanwhile");
    writes[0]?.reject(broken);
    await settle();
    receive("later");
    expect(await waiting).toMatchObject({ ok: false, code: "cancelled" });
    expect(fatal).toEqual([broken]);
    expect(done).toEqual(["write a sync"]);
    expect(node.handled).toHaveLength(1);
  });

  it("at once: is fatal once, and nothing is sent after it", async () => {
    const node = new Scripted([persist([put("a")], true), send("a"), persist([put("b")], true)], [send("c")]);
    const { runner, done, fatal, receive } = rig(node, { storeThrows: broken });
    await runner.start();
    receive("later");
    expect(fatal).toEqual([broken]);
    expect(done).toEqual(["write a sync"]);
    expect(node.handled).toEqual([]);
  });
});
