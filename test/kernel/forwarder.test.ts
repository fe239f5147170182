// DEL of the CNI forwarder without a daemon, in a namespace of its own: the host end goes by its computed
// name, nothing else does.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { hostIfname } from "../../cni-plugin/host-ifname.ts";
import {
  buildForwarder,
  ENVIRONMENT,
  type Forwarder,
  type Run,
  run,
} from "../../cni-plugin/testing/forwarder.ts";
import { HOST_IFNAME_VECTORS } from "../../cni-plugin/testing/host-ifname-vectors.ts";

const HOST = `wvfwd-h-${process.pid}`;
const CONTAINER = `wvfwd-c-${process.pid}`;
let forwarder: Forwarder;
let runDir: string;

const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });
const links = (netns: string): string[] =>
  [...ip("-n", netns, "-o", "link").matchAll(/^\d+: ([^:@]+)/gm)].map((match) => match[1] ?? "").sort();

beforeAll(() => {
  forwarder = buildForwarder();
});
afterAll(() => forwarder.remove());
beforeEach(() => {
  runDir = mkdtempSync(join(forwarder.dir, "run-"));
  ip("netns", "add", HOST);
  ip("netns", "add", CONTAINER);
});
afterEach(() => {
  ip("netns", "del", HOST);
  ip("netns", "del", CONTAINER);
});

function attach(hostName: string, ifname: string): void {
  ip("-n", HOST, "link", "add", hostName, "type", "veth", "peer", "name", ifname, "netns", CONTAINER);
}

const del = (env: Record<string, string> = {}, network = "net1"): Promise<Run> =>
  run(
    ["/usr/bin/nsenter", `--net=/run/netns/${HOST}`, join(forwarder.dir, "weave-net")],
    { ...ENVIRONMENT, CNI_COMMAND: "DEL", WEAVE_SOCKET: join(runDir, "weave.sock"), ...env },
    JSON.stringify({ cniVersion: "1.0.0", name: network }),
  );

test.each(HOST_IFNAME_VECTORS)(
  "%s %s %s: removes %s and journals",
  async (network, containerId, ifname, name) => {
    attach(name, ifname);
    const done = await del({ CNI_CONTAINERID: containerId, CNI_IFNAME: ifname }, network);
    expect(done).toMatchObject({ exit: 0, stdout: "", stderr: "" });
    expect(links(HOST)).toEqual(["lo"]);
    expect(links(CONTAINER)).toEqual(["lo"]);
    expect(readdirSync(join(runDir, "journal"))).toHaveLength(1);
  },
);

test("again, and for a container that never was: success", async () => {
  for (let i = 0; i < 3; i++) expect((await del()).exit).toBe(0);
});

test("the ifb that shaped what the container sent goes, too", async () => {
  const name = hostIfname({ network: "net1", containerId: "c-1", ifname: "eth0" });
  const other = hostIfname({ network: "net1", containerId: "c-1", ifname: "eth1" });
  const ifb = (veth: string): string => veth.replace(/^vw/, "vi");
  attach(name, "eth0");
  for (const one of [name, other]) ip("-n", HOST, "link", "add", ifb(one), "type", "ifb");
  expect((await del()).exit).toBe(0);
  expect(links(HOST)).toEqual([ifb(other), "lo"].sort());
  expect(readdirSync(join(runDir, "journal"))).toHaveLength(1);
});

test("links of other attachments stay", async () => {
  const others = ["eth1", "eth2"].map((ifname) =>
    hostIfname({ network: "net1", containerId: "c-1", ifname }),
  );
  for (const [i, name] of others.entries()) attach(name, `eth${i + 1}`);
  attach(hostIfname({ network: "net1", containerId: "c-1", ifname: "eth0" }), "eth0");
  await del();
  expect(links(HOST)).toEqual([...others, "lo"].sort());
});

test("with the host's own namespace as CNI_NETNS, a host link named like CNI_IFNAME survives", async () => {
  attach("eth0", "peer0");
  for (const CNI_NETNS of ["/proc/self/ns/net", `/run/netns/${HOST}`])
    expect((await del({ CNI_NETNS })).exit).toBe(0);
  expect(links(HOST)).toEqual(["eth0", "lo"]);
});

test("without the privilege to delete links: an error naming the link, nothing journaled", async () => {
  const name = hostIfname({ network: "net1", containerId: "c-1", ifname: "eth0" });
  attach(name, "eth0");
  const command = [
    "/usr/bin/nsenter",
    `--net=/run/netns/${HOST}`,
    "/usr/bin/setpriv",
    "--bounding-set=-net_admin",
  ];
  const { exit, json } = await run(
    [...command, "--inh-caps=-net_admin", join(forwarder.dir, "weave-net")],
    { ...ENVIRONMENT, CNI_COMMAND: "DEL", WEAVE_SOCKET: join(runDir, "weave.sock") },
    '{"name":"net1"}',
  );
  expect(exit).toBe(1);
  expect(json).toMatchObject({ code: 5, msg: expect.stringContaining(name) });
  expect(readdirSync(runDir)).toEqual([]);
  expect(links(HOST)).toContain(name);
});

test("the interface is gone before the release is journaled", async () => {
  const name = hostIfname({ network: "net1", containerId: "c-1", ifname: "eth0" });
  attach(name, "eth0");
  writeFileSync(join(runDir, "journal"), "");
  expect((await del()).json).toMatchObject({ code: 5, msg: expect.stringContaining("journal") });
  expect(links(HOST)).toEqual(["lo"]);
});
