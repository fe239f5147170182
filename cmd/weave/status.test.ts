import { describe, expect, test } from "vitest";
import { problemLine } from "./status/problems.ts";
import { render } from "./status.ts";
import { empty, healthy, sprawling } from "./testing/statuses.ts";
import { width } from "./text.ts";

function belowVerdict(text: string): string[] {
  const lines = text.split("\n");
  return lines.slice(lines.indexOf(""));
}

const SECTIONS = [undefined, "connections", "targets", "peers", "ipam", "endpoints"] as const;

test.each(SECTIONS)(
  "%s of anything fits 100 columns below the verdict and holds no control character",
  (section) => {
    const hostile = { ...sprawling, nickname: "\u001b]0;owned\u0007" };
    for (const status of [healthy, sprawling, empty, hostile]) {
      const text = render(status, section);
      expect(belowVerdict(text).filter((line) => width(line) > 100)).toEqual([]);
      expect(text).not.toMatch(/[^\P{Cc}\n]/u);
      expect(text).not.toMatch(/ $/m);
    }
  },
);

describe("in good order", () => {
  test("summary", () => {
    expect(render(healthy, undefined)).toBe(`OK

version      0.1.0, process 4711, since 2026-01-31T12:00:00Z
peer         7a:01:02:03:04:05(alice), address 192.0.2.1, listening on 0.0.0.0:6783
cluster      c0ffee00
connections  2 established of 2
peers        3
range        10.32.0.0/12: this host uses 3 of its 524288 addresses, 50.0% of the range
datapath     bridge weave, vxlan-6784 (VNI 7829110, UDP 6784), MTU 1450
exposed      10.32.0.1/12 with masquerade
endpoints    2, 1 of them on this host`);
  });

  test.each([
    [
      { password: true, reach: "everywhere" },
      "yes: peers prove it, the mesh is encrypted; containers' packets are not",
    ],
    [{ password: false, reach: "host" }, "none; only this host itself can connect"],
    [
      { password: false, reach: "networks" },
      "NONE: any machine that reaches TCP 6783 at 10.0.0.1/8, 10.0.0.2/8,",
    ],
    [
      { password: false, reach: "everywhere" },
      "10.0.0.3/8 and 1 more, from any network if no firewall is in",
    ],
  ] as const)("summary with %j says who may come in", (access, says) => {
    const addresses = ["10.0.0.1/8", "10.0.0.2/8", "10.0.0.3/8", "10.0.0.4/8"];
    const text = render({ ...healthy, access: { ...access, addresses } }, undefined);
    expect(text.replace(/\n +/g, " ")).toContain(says);
  });

  test("summary with what others changed and was put back", () => {
    const time = "2026-01-31T12:30:00.000Z";
    const repair = (object: string, count: number) => ({
      object,
      count,
      time,
      first: time,
      message: "link add",
    });
    const repairs = [
      { ...repair("bridge weave", 27), notBefore: "2026-01-31T12:30:30.000Z" },
      ...Array.from({ length: 6 }, (_, i) => repair(`flood entry 192.0.2.${i}`, i + 1)),
    ];
    const lines = render({ ...healthy, repairs }, undefined).split("\n");
    expect(lines.slice(lines.findIndex((line) => line.startsWith("repaired")))).toEqual([
      "repaired     bridge weave, 27 times, last at 2026-01-31T12:30:00Z; damaged again and again, waits",
      "             until 2026-01-31T12:30:30Z",
      "repaired     flood entry 192.0.2.0, once at 2026-01-31T12:30:00Z",
      ...[1, 2, 3].map(
        (i) => `repaired     flood entry 192.0.2.${i}, ${i + 1} times, last at 2026-01-31T12:30:00Z`,
      ),
      "repaired     and 2 more; run weave status --json",
    ]);
  });

  test("connections", () => {
    expect(render(healthy, "connections")).toBe(`OK

    ADDRESS          STATE        PEER                      PATH  MTU  VERIFIED  RTT ms
->  192.0.2.2:6783   established  7a:01:02:03:04:06(bob)    -       -  -            0.4
->  192.0.2.1:6783   self         -                         -       -  -              -
<-  192.0.2.3:40112  established  7a:01:02:03:04:07(carol)  -       -  -              -`);
  });

  test("connections tell why a path is not verified, and the ways to peers without a connection", () => {
    const path = { mtu: 1450, verified: "no", verifiedSince: "2026-01-31T12:00:00.500Z" } as const;
    const reason = "packets of 1450 bytes are lost, those of 1370 arrive";
    const [bob, ...others] = healthy.connections;
    const connections = bob === undefined ? [] : [{ ...bob, path: "vxlan", ...path, reason }, ...others];
    const peer = { peer: "7a:01:02:03:04:08", nickname: "dave", underlay: "192.0.2.4", gossip: "by bob" };
    const paths = [{ ...peer, mtu: 1450, verified: "yes" as const, pathRttMs: 0.31 }];
    const lines = render({ ...healthy, connections, paths }, "connections").split("\n");
    expect(lines[3]).toMatch(/ vxlan +1450 +no +0\.4/);
    expect(lines[4]).toBe(`    path: ${reason}, since 2026-01-31T12:00:00Z`);
    expect(lines.slice(-3)).toEqual([
      "paths to peers without a connection of their own",
      "PEER                     GOSSIP  VXLAN TO    MTU  VERIFIED  RTT ms",
      "7a:01:02:03:04:08(dave)  by bob  192.0.2.4  1450  yes          0.3",
    ]);
    expect(render({ ...healthy, paths }, undefined)).toContain(
      "\npaths        1 of 1 verified at full size\n",
    );
  });

  test("the summary tells whose the MTU is, and what it was", () => {
    const change = {
      mtuOf: "carol",
      ownMtu: 1450,
      mtuChange: { from: 1450, to: 1350, at: "2026-01-31T12:30:00.000Z" },
    };
    const text = render({ ...healthy, datapath: { ...healthy.datapath, mtu: 1350, ...change } }, undefined);
    expect(text.replace(/\n +/g, " ")).toContain(
      "MTU 1350 (that of carol; this host could carry 1450), lowered from 1450 at 2026-01-31T12:30:00Z, running containers too",
    );
  });

  test("targets", () => {
    expect(render(healthy, "targets")).toBe(`OK

ADDRESS     STATE        PEER
192.0.2.2   established  7a:01:02:03:04:06(bob)
host9:7000  retrying     -
    getaddrinfo ENOTFOUND host9; next try 2026-01-31T12:00:05Z
hosts that these know are dialled, too; connection limit 32`);
    expect(render({ ...healthy, targets: [], discovery: false }, "targets")).toBe(`OK

none: no peer was given to launch or connect
discovery is off: no other host is dialled; connection limit 32`);
  });

  test("without discovery the summary says so", () => {
    expect(render({ ...healthy, discovery: false }, undefined)).toContain(
      "connections  2 established of 2; discovery is off: only targets are dialled\n",
    );
  });

  test("peers", () => {
    expect(render(healthy, "peers")).toBe(`OK

PEER                      STATE      UNDERLAY    MTU  LINKS  CONTAINERS  VERSION
7a:01:02:03:04:05(alice)  this host  192.0.2.1  1450      2           2  0.1.0
7a:01:02:03:04:06(bob)    reachable  192.0.2.2  1450      2           0  0.1.0
7a:01:02:03:04:07(carol)  reachable  192.0.2.3  1450      2           1  0.1.0`);
  });

  test("ipam", () => {
    expect(render(healthy, "ipam")).toBe(`OK

range 10.32.0.0/12: 1048576 addresses, ready
OWNER                     ADDRESSES  SHARE  USED  STATE
7a:01:02:03:04:05(alice)     524288  50.0%     3  this host
    10.32.0.0/13
7a:01:02:03:04:06(bob)       524287  50.0%     -  reachable
    10.40.0.0/14 10.44.0.0/14
7a:01:02:03:04:07(carol)          1  <0.1%     -  reachable`);
  });

  test("endpoints", () => {
    expect(render(healthy, "endpoints")).toBe(`OK

ADDRESS    MAC                HOST                      LABEL
10.32.0.2  02:00:0a:20:00:02  this host                 web
10.40.0.1  02:00:0a:28:00:01  7a:01:02:03:04:07(carol)  db`);
  });
});

describe("not in good order", () => {
  test("connections tell who was turned away, by which code", () => {
    const refused = {
      direction: "in",
      address: "192.0.2.9",
      state: "refused",
      since: "2026-01-31T12:00:00Z",
      failure: "the passwords of the two hosts differ",
      failureCode: "password-wrong",
    } as const;
    const text = render({ ...healthy, connections: [...healthy.connections, refused] }, "connections");
    expect(text.split("\n").slice(-2)).toEqual([
      expect.stringMatching(/^<- {2}192\.0\.2\.9 +refused +- +- +- +- +-/),
      "    password-wrong: the passwords of the two hosts differ",
    ]);
    // It is no connection that is missing.
    expect(render({ ...healthy, connections: [refused] }, undefined)).toContain("0 established of 0");
  });

  test("the summary tells problems in words", () => {
    const lines = render(empty, undefined).split("\n");
    expect(lines[0]).toBe(
      "PROBLEM: waiting-for-peers 10.32.0.0/12 since 2026-01-31T12:00:00Z; run weave status connections",
    );
    expect(lines).toContain("cluster      none yet");
    expect(lines).toContain("range        10.32.0.0/12, waiting: no address can be given yet");
    expect(lines).toContain("exposed      no; to let this host reach containers, run weave expose");
    expect(lines.at(-1)).toBe("problem      waiting-for-peers 10.32.0.0/12: what is wrong with 10.32.0.0/12");
  });

  test("no rows: none, and what to do", () => {
    for (const section of ["connections", "ipam", "endpoints"] as const) {
      expect(render(empty, section)).toMatch(/\nnone: .*; run weave /);
    }
  });

  test("addresses of 39 characters stay whole, columns that may be missing go", () => {
    const [titles = "", row = ""] = render(sprawling, "connections").split("\n").slice(3);
    expect(titles).not.toContain("RTT");
    expect(titles).toContain("VERIFIED");
    expect(row).toContain("[2001:db8:1111:2222:3333:4444:5555:6660]:6783");
    expect(render(sprawling, "peers")).toContain("2001:db8:1111:2222:3333:4444:5555:6661");
    expect(render(sprawling, "endpoints")).toContain("2001:db8:1111:2222:3333:4444:5555:6661");
  });

  test("why a target is not connected stands under it", () => {
    const target = { direction: "out", address: "192.0.2.9:6783", state: "retrying" } as const;
    const connections = [{ ...target, failure: "connection refused", nextTry: "2026-01-31T12:00:05.000Z" }];
    expect(
      render({ ...healthy, connections }, "connections")
        .split("\n")
        .slice(-2),
    ).toEqual([
      "->  192.0.2.9:6783  retrying  -     -       -  -              -  -",
      "    connection refused; next try 2026-01-31T12:00:05Z",
    ]);
  });

  test("since when a peer is unreachable, in peers and ipam", () => {
    const peers = healthy.peers.map((peer) =>
      peer.nickname === "bob"
        ? { ...peer, reachable: false, unreachableSince: "2026-01-31T11:00:00.000Z" }
        : peer,
    );
    const ipam = healthy.ipam.map((range) => ({
      ...range,
      owners: range.owners.map((owner) =>
        owner.nickname === "bob" ? { ...owner, reachable: false } : owner,
      ),
    }));
    const status = { ...healthy, peers, ipam };
    for (const section of ["peers", "ipam"] as const) {
      expect(render(status, section)).toContain("unreachable 2026-01-31T11:00:00Z");
    }
    expect(render(status, undefined)).toContain("\npeers        3, 1 of them unreachable\n");
  });

  test("the line of a problem is whole, however long", () => {
    const line = problemLine({
      code: "target-unreachable",
      object: "[2001:db8:1111:2222:3333:4444:5555:6667]:6783",
      since: "2026-01-31T12:00:00.000Z",
      message: "",
      command: "weave status connections",
    });
    expect(line).toBe(
      "PROBLEM: target-unreachable [2001:db8:1111:2222:3333:4444:5555:6667]:6783 since 2026-01-31T12:00:00Z; run weave status connections",
    );
  });
});
