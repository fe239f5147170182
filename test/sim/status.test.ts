// Every problem code of `status` arises with its cause and goes with it: the real core in a small simulated world.
import { describe, expect, it } from "vitest";
import { type ProcessFacts, statusAnswer } from "../../src/adapters/http/status.ts";
import { createMemoryStore } from "../../src/adapters/store-memory.ts";
import { type Status, status } from "../../src/api/status.ts";
import { allocationOp } from "../../src/core/records.ts";
import type { Host } from "./host.ts";
import { addressOf, World } from "./world.ts";

const [A, B] = [addressOf(0), addressOf(1)];
const STRANGER = "10.9.9.9";
const MINUTE = 60_000;

interface PeerOptions {
  readonly name: string;
  readonly targets: readonly string[];
  readonly incarnation?: string;
}
const world = (peers: readonly PeerOptions[], universe = "10.32.0.0/24"): World =>
  new World({ seed: 11, peers, universe });

const process: ProcessFacts = {
  version: "0.1.0",
  pid: 1,
  listen: { host: "*", port: 6783 },
  settled: true,
  failures: [],
};

/** What `weave status --json` would print; always of the form the API promises. */
function statusOf(w: World, host: Host | undefined, facts: ProcessFacts = process): Status {
  if (host?.node === undefined) throw new Error("not running");
  return status.parse(statusAnswer(host.node, facts, w.schedule.now()));
}
const problems = (w: World, host: Host | undefined): string[] =>
  statusOf(w, host).problems.map(({ code, object }) => `${code} ${object}`);

describe("a problem arises and goes", () => {
  it("waiting-for-peers and founding, until enough answer", async () => {
    const D = addressOf(3);
    const w = world([
      { name: "alice", targets: [B, addressOf(2), D] },
      { name: "bob", targets: [A, addressOf(2), D] },
      { name: "carol", targets: [A, B, D] },
    ]);
    const [alice, bob, carol] = w.hosts;
    await alice?.start();
    await w.run(10);
    expect(problems(w, alice)).toContain("waiting-for-peers 10.32.0.0/24");
    await bob?.start();
    await w.run(MINUTE);
    expect(problems(w, alice)).toContain("founding 10.32.0.0/24");
    expect(problems(w, alice)).not.toContain("waiting-for-peers 10.32.0.0/24");
    const message = statusOf(w, alice).problems.find(({ code }) => code === "founding")?.message;
    expect(message).toMatch(/founding: 2 of 4 hosts answer, 3 needed; not connected: 10.0.0.3, 10.0.0.4/);
    await carol?.start();
    await w.run(2 * MINUTE);
    for (const host of w.hosts) expect(problems(w, host)).toEqual([`target-unreachable ${D}`]);
    expect(statusOf(w, alice)).toMatchObject({ cluster: statusOf(w, carol).cluster });
  });

  it("peer-unreachable, with its time, not in the first seconds after a start, until the peer is back", async () => {
    const w = world([
      { name: "alice", targets: [] },
      { name: "bob", targets: [A] },
    ]);
    const [alice, bob] = w.hosts;
    await w.startAll();
    await w.run(MINUTE);
    expect(problems(w, alice)).toEqual([]);
    bob?.kill();
    const killed = w.schedule.now();
    await w.run(MINUTE);
    expect(problems(w, alice)).toEqual(["no-quorum epoch 2", "peer-unreachable bob"]);
    const since = Date.parse(statusOf(w, alice).problems[1]?.since ?? "");
    expect(since).toBeGreaterThanOrEqual(killed);
    expect(since).toBeLessThan(killed + 20_000);
    alice?.kill();
    await alice?.start();
    expect(problems(w, alice)).toEqual([]);
    await w.run(10_000);
    expect(problems(w, alice)).toEqual(["no-quorum epoch 2", "peer-unreachable bob"]);
    await bob?.start();
    await w.run(MINUTE);
    expect(problems(w, alice)).toEqual([]);
  });

  it("target-unreachable, until another set of targets takes its place", async () => {
    const w = world([{ name: "alice", targets: [] }]);
    const [alice] = w.hosts;
    await w.startAll();
    await w.answer(Promise.resolve(alice?.connect(STRANGER)));
    await w.run(MINUTE);
    expect(problems(w, alice)).toEqual([`target-unreachable ${STRANGER}`]);
    expect(statusOf(w, alice).connections).toMatchObject([{ address: STRANGER, state: "retrying" }]);
    await alice?.runner?.request({ kind: "connect", targets: [], replace: true });
    expect(problems(w, alice)).toEqual([]);
  });

  it("refused, on both sides, until some minutes after the clone gave up", async () => {
    const w = world([
      { name: "alice", targets: [] },
      { name: "alice", targets: [A] },
    ]);
    const [alice, clone] = w.hosts;
    await w.startAll();
    await w.run(10_000);
    expect(problems(w, alice)).toEqual(["refused alice"]);
    expect(problems(w, clone)).toContain(`refused ${A}`);
    clone?.kill();
    await w.run(4 * MINUTE);
    expect(problems(w, alice)).toEqual(["refused alice"]);
    await w.run(2 * MINUTE);
    expect(problems(w, alice)).toEqual([]);
  });

  it("clone, until some minutes after one of the two is gone", async () => {
    const w = world([
      { name: "carol", targets: [] },
      { name: "dave", targets: [A] },
      { name: "alice", targets: [A], incarnation: "copied" },
      { name: "alice", targets: [B], incarnation: "copied" },
    ]);
    const [, , first, second] = w.hosts;
    for (const host of w.hosts) await host.start();
    await w.run(MINUTE);
    for (const twin of [first, second]) expect(problems(w, twin)).toContain("clone alice");
    second?.kill();
    await w.run(7 * MINUTE);
    expect(problems(w, first)).toEqual([]);
  });

  it("foreign-cluster, on both sides, as long as they are connected", async () => {
    const w = world([
      { name: "alice", targets: [] },
      { name: "bob", targets: [] },
    ]);
    const [alice, bob] = w.hosts;
    await w.startAll();
    for (const host of w.hosts) await w.answer(host.add(`${host.options.name}1`));
    await w.answer(Promise.resolve(alice?.connect(B)));
    await w.run(MINUTE);
    expect(problems(w, alice)).toEqual(["foreign-cluster bob"]);
    expect(problems(w, bob)).toEqual(["foreign-cluster alice"]);
    alice?.kill();
    await w.run(MINUTE);
    expect(problems(w, bob)).toEqual([]);
  });

  it("address-conflict, everywhere, until one of the containers is deleted", async () => {
    const w = world([
      { name: "alice", targets: [] },
      { name: "bob", targets: [A] },
      { name: "carol", targets: [B] },
    ]);
    const [alice, bob, carol] = w.hosts;
    await alice?.start();
    await w.answer(Promise.resolve(alice?.add("a1")));
    const cidr = alice?.containers.get("a1") ?? "";
    const address = cidr.split("/")[0] ?? "";
    // A copied disk: bob believes that the address is his container's.
    const copied = createMemoryStore(bob?.disk);
    const moment = { bootId: "bob", bootMs: 1 };
    const key = { network: "weave", containerId: "b1", ifname: "eth0" };
    const facts = { mac: "02:a0:0a:20:00:99", netns: "b1", hostIfname: "b1" };
    const record = { ...key, ...facts, addresses: [cidr], slot: "0", moment, committed: true };
    copied.write([allocationOp(record)], { sync: true });
    await copied.close();
    await bob?.start();
    await carol?.start();
    await w.run(MINUTE);
    for (const host of w.hosts) expect(problems(w, host)).toEqual([`address-conflict ${address}`]);
    // His own container counts at bob, alice's everywhere else.
    const holder = (host: Host | undefined): string | undefined =>
      statusOf(w, host).endpoints.find((endpoint) => endpoint.address === address)?.peer;
    expect(w.hosts.map(holder)).toEqual(["alice", "bob", "alice"]);
    await w.answer(Promise.resolve(bob?.remove("b1")));
    await w.run(MINUTE);
    for (const host of w.hosts) expect(problems(w, host)).toEqual([]);
  });

  it("range-exhausted, until an address is free again", async () => {
    const w = world([{ name: "alice", targets: [] }], "10.32.0.0/30");
    const [alice] = w.hosts;
    await w.startAll();
    for (const id of ["a1", "a2"]) await w.answer(Promise.resolve(alice?.add(id)));
    expect(problems(w, alice)).toEqual([]); // full is not yet a problem
    expect(await w.answer(Promise.resolve(alice?.add("a3")))).toBe("range-exhausted");
    expect(problems(w, alice)).toEqual(["range-exhausted 10.32.0.0/30"]);
    await w.answer(Promise.resolve(alice?.remove("a1")));
    expect(problems(w, alice)).toEqual([]);
  });

  it("datapath, as the process tells it", async () => {
    const w = world([{ name: "alice", targets: [] }]);
    const [alice] = w.hosts;
    await w.startAll();
    const failures = [{ object: "vxlan-6784", message: "EEXIST", since: 1_000_000 }];
    const answer = statusOf(w, alice, { ...process, settled: false, failures });
    expect(answer).toMatchObject({
      ok: false,
      problems: [
        { code: "datapath", object: "vxlan-6784", message: "EEXIST", since: "1970-01-01T00:16:40.000Z" },
      ],
      datapath: { settled: false },
    });
    expect(statusOf(w, alice)).toMatchObject({ ok: true, problems: [], datapath: { settled: true } });
  });
});

describe("the picture", () => {
  it("tells peers, connections, ranges and containers alike on both hosts", async () => {
    const w = world([
      { name: "alice", targets: [] },
      { name: "bob", targets: [A, B] },
    ]);
    const [alice, bob] = w.hosts;
    await w.startAll();
    for (const host of w.hosts) await w.answer(host.add(`${host.options.name}1`));
    await w.run(MINUTE);
    const [ofAlice, ofBob] = [statusOf(w, alice), statusOf(w, bob)];
    expect(ofAlice.connections).toMatchObject([{ direction: "in", state: "established", peer: "bob" }]);
    expect(ofBob.connections).toMatchObject([
      { direction: "out", state: "established", peer: "alice", address: A },
      { direction: "out", state: "self", address: B },
    ]);
    for (const [view, name] of [[ofAlice, "alice"] as const, [ofBob, "bob"] as const]) {
      expect(view.peers[0]).toMatchObject({ name, self: true, reachable: true, containers: 1 });
      expect(view.peers[1]).toMatchObject({ self: false, reachable: true, containers: 1 });
      expect(view.ipam).toMatchObject([{ range: "10.32.0.0/24", state: "ready", size: 256, used: 1 }]);
      expect(view.ipam[0]?.owners.reduce((sum, { addresses }) => sum + addresses, 0)).toBe(256);
      expect(view.endpoints.filter((endpoint) => endpoint.local)).toHaveLength(1);
    }
    const addresses = (view: Status): string[] => view.endpoints.map((endpoint) => endpoint.address);
    expect(addresses(ofAlice)).toEqual(addresses(ofBob));
  });
});
