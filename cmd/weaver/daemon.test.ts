import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createMemoryDisk, createMemoryStore, type MemoryStore } from "../../src/adapters/store-memory.ts";
import { createMemoryNetwork } from "../../src/adapters/transport-memory.ts";
import { anewOf } from "../../src/core/aside.ts";
import type { Effect } from "../../src/core/effects.ts";
import { Node } from "../../src/core/node.ts";
import { seededRandom } from "../../src/core/random.ts";
import { readState } from "../../src/core/records.ts";
import { Daemon } from "../../src/daemon/daemon.ts";
import { createMemoryKernel, type MemoryKernel } from "../../src/kernel/memory/memory-kernel.ts";
import { plainConfig } from "../../test/support/node-config.ts";

const KEY = { network: "weave", containerId: "c1", ifname: "eth0" };
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const rejoin: Effect = { type: "rejoin", reason: "removed", expect: "living" };

const configOf = (name: string) => plainConfig(name, "10.32.0.0/24");

/** Make the node order a rejoin when it is next asked to change its targets. */
function orderRejoin(): void {
  const handle = Node.prototype.handle;
  const spy = vi.spyOn(Node.prototype, "handle").mockImplementation(function (this: Node, input, now) {
    const effects = handle.call(this, input, now);
    if (input.type !== "request" || input.request.kind !== "connect") return effects;
    spy.mockRestore();
    return [...effects, rejoin];
  });
}

describe("a daemon whose node begins anew", () => {
  const disk = createMemoryDisk();
  let kernel: MemoryKernel;
  let store: MemoryStore;
  let daemon: Daemon;
  const names: string[] = [];
  const fatal: unknown[] = [];
  let opened = 0;
  let reconfigure: () => Promise<void> = async () => {};

  beforeEach(async () => {
    kernel = createMemoryKernel();
    store = createMemoryStore(disk);
    names.length = 0;
    fatal.length = 0;
    opened = 0;
    const network = createMemoryNetwork({
      scheduler: { now: () => 0, at: () => {} },
      random: seededRandom(1),
    });
    daemon = await Daemon.start(configOf("alice"), readState(await store.load()), {
      store,
      kernel,
      log: silent,
      clock: { now: () => 1_000, setAlarm: () => {} },
      random: seededRandom(1),
      openTransport: async () => {
        opened++;
        return network.endpoint("192.0.2.1");
      },
      keep: async () => "file",
      draw: () => ({ freshName: "fresh", digits: "3f2a", incarnation: "new" }),
      reconfigure: async ({ name = "" }) => {
        await reconfigure();
        return configOf(name);
      },
      onName: (name) => names.push(name),
      onFatal: (error) => fatal.push(error),
    });
  });
  afterEach(() => vi.restoreAllMocks());

  it("goes on as another, with its containers, for those who talked to it before", async () => {
    const { attachments, follower } = daemon;
    const moment = { bootId: "b", bootMs: 1 };
    const { addresses } = await attachments.allocate(KEY, {}, {}, moment, new AbortController().signal);
    const former = daemon.node;

    orderRejoin();
    expect(await daemon.request({ kind: "connect", targets: ["192.0.2.2"], replace: true })).toMatchObject({
      ok: true,
    });
    // Whoever comes meanwhile waits for the node to come.
    expect(await attachments.release({ ...KEY, containerId: "unknown" })).toBeUndefined();

    expect(daemon.node).not.toBe(former);
    expect(daemon.node.config.name).toBe("alice-3f2a");
    expect(names).toEqual(["alice", "alice-3f2a"]);
    expect(opened).toBe(2);
    expect(attachments.find(KEY)?.addresses).toEqual(addresses);
    expect(anewOf(disk.records())).toEqual({ base: "alice", newcomer: true, expect: "living" });
    await follower.settled();
    expect(kernel.applied).toBeGreaterThan(1);
    expect(fatal).toEqual([]);
    await daemon.stop();
  });

  it("ends when it cannot: what it was told must not be forgotten", async () => {
    reconfigure = () => Promise.reject(new Error("no such range"));
    orderRejoin();
    await daemon.request({ kind: "connect", targets: [], replace: true });
    expect(await daemon.request({ kind: "connect", targets: [], replace: true })).toMatchObject({
      ok: false,
      code: "cancelled",
    });
    expect(fatal).toEqual([new Error("no such range")]);
    await daemon.stop();
  });
});
