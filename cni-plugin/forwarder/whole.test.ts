// Both halves of the plugin together: the real forwarder, HTTP, and the daemon's handler on a host that is a fake.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  buildForwarder,
  ENVIRONMENT,
  type Forwarder,
  type Run,
  respond,
  run,
  type StandInDaemon,
  standInDaemon,
} from "../testing/forwarder.ts";
import { Harness, NOTHING_LEFT } from "../testing/harness.ts";
import { CNI_VERSIONS } from "../versions.ts";

let forwarder: Forwarder;
let host: Harness;
let daemon: StandInDaemon;
/** Of each call: done when the handler has finished, and aborted when the caller hung up. */
let answered: Promise<unknown>[] = [];
let callers: AbortSignal[] = [];

beforeAll(() => {
  forwarder = buildForwarder();
});
afterAll(() => forwarder.remove());
beforeEach(async () => {
  host = new Harness();
  answered = [];
  callers = [];
  daemon = await standInDaemon(forwarder.dir, async (response, request, body) => {
    const caller = new AbortController();
    request.socket.once("close", () => caller.abort());
    const handling = host.plugin.handle(body, caller.signal);
    callers.push(caller.signal);
    answered.push(handling);
    const { exit, stdout } = await handling;
    respond(response, exit, stdout);
  });
});
afterEach(() => daemon.close());

const call = (CNI_COMMAND: string, config: Record<string, unknown> = {}, env = {}): Promise<Run> =>
  run(
    [join(forwarder.dir, "weave-net")],
    { ...ENVIRONMENT, CNI_COMMAND, WEAVE_SOCKET: daemon.socket, ...env },
    JSON.stringify({ name: "net1", ...config }),
  );

test.each(CNI_VERSIONS)("ADD and DEL in version %s", async (cniVersion) => {
  const added = await call("ADD", { cniVersion });
  expect(added).toMatchObject({ exit: 0, stderr: "", json: { cniVersion } });
  expect(added.stdout).toContain('"10.32.0.2/12"');
  expect(await call("ADD", { cniVersion })).toMatchObject({ exit: 1, json: { cniVersion, code: 100 } });
  expect(await call("DEL", { cniVersion })).toMatchObject({ exit: 0, stdout: "" });
  expect(host.residue()).toEqual(NOTHING_LEFT);
});

test("STATUS and GC", async () => {
  await call("ADD");
  expect(await call("STATUS", { cniVersion: "1.1.0" })).toMatchObject({ exit: 0, stdout: "" });
  const empty = { cniVersion: "1.1.0", "cni.dev/valid-attachments": [] };
  expect(await call("GC", empty)).toMatchObject({ exit: 0, stdout: "" });
  expect(host.residue()).toEqual(NOTHING_LEFT);
});

test("errors found by the daemon come out as they are", async () => {
  expect(await call("ADD", { cniVersion: "1.0.0", vlan: 100 })).toMatchObject({ exit: 1, json: { code: 2 } });
  expect(await call("ADD", {}, { CNI_NETNS: "/nonexistent/netns" })).toMatchObject({
    exit: 1,
    json: { code: 101 },
  });
  expect(host.residue()).toEqual(NOTHING_LEFT);
});

test("twenty at once get twenty addresses", async () => {
  host.attachments.size = 30;
  const ids = Array.from({ length: 20 }, (_, i) => `c-${i}`);
  const runs = await Promise.all(
    // Each its own namespace for the fake, which knows them by descriptor: one interface name each will do.
    ids.map((id, i) => call("ADD", { cniVersion: "1.0.0" }, { CNI_CONTAINERID: id, CNI_IFNAME: `eth${i}` })),
  );
  expect(runs.every((one) => one.exit === 0)).toBe(true);
  expect(new Set([...host.attachments.held.values()].map((one) => one.addresses[0])).size).toBe(20);
});

test("a caller that is killed leaves nothing behind", async () => {
  const { reached, release } = host.holdAt("attach");
  const env = { ...ENVIRONMENT, WEAVE_SOCKET: daemon.socket };
  const child = spawn(join(forwarder.dir, "weave-net"), [], { env });
  child.stdin.end('{"name":"net1"}');
  await reached;
  child.kill("SIGKILL");
  await once(child, "close");
  // The server hears of it by an event of its own, in no fixed order with the child's end.
  await expect.poll(() => callers.at(-1)?.aborted, { timeout: 5000 }).toBe(true);
  release();
  await Promise.all(answered);
  expect(host.residue()).toEqual(NOTHING_LEFT);
});
