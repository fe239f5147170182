import { describe, expect, test } from "vitest";
import { type Status, status } from "../../../src/api/status.ts";
import { render } from "../status.ts";
import { healthy, problem } from "../testing/statuses.ts";

const [ALICE, BOB, CAROL] = ["7a:01:02:03:04:05", "7a:01:02:03:04:06", "7a:01:02:03:04:07"];
const SINCE = "2026-01-31T11:00:00.123Z";
const [range] = healthy.ipam;

const voter = (name: string | undefined, nickname: string, reachable: boolean) => ({
  name,
  nickname,
  reachable,
});

/** Bob was removed by alice; carol has not answered yet. */
const removing: Status = status.parse({
  ...healthy,
  ok: false,
  problems: [problem("taking", "bob", "weave status ipam")],
  peers: healthy.peers
    .filter(({ nickname }) => nickname !== "bob")
    .map((peer) =>
      peer.nickname === "carol" ? { ...peer, reachable: false, unreachableSince: SINCE } : peer,
    ),
  configuration: {
    epoch: 4,
    voters: [voter(ALICE, "alice", true), voter(CAROL, "carol", false)],
    quorum: 2,
    remaining: { since: 4, heir: ALICE, names: 2 },
    lineage: [{ cluster: "beef", epoch: 2, by: ALICE, removed: ["dave"], at: SINCE }],
  },
  ipam: [
    {
      ...range,
      taking: { addresses: 524287, of: [BOB], heir: ALICE, waitingFor: [CAROL] },
      owners: range?.owners.map((owner) => {
        if (owner.nickname === "alice") return { ...owner, used: 3 };
        if (owner.nickname === "carol")
          return {
            ...owner,
            used: 1,
            reachable: false,
            unreachableSince: SINCE,
            problem: "it must answer once",
            command: "weave rmpeer carol",
          };
        return {
          ...owner,
          used: 0,
          reachable: false,
          removed: true,
          problem: "removed in epoch 4; waits for alice",
          command: "weave status ipam",
        };
      }),
    },
  ],
  lost: [{ address: "10.32.0.9", holder: "weave/c1/eth0", by: CAROL }],
  setAside: { file: "/var/lib/weave/aside-x-removed.json", reason: "removed", at: SINCE },
});

describe("status ipam with decisions", () => {
  const text = render(removing, "ipam");

  test("says who decides, and whether they can", () => {
    expect(text).toContain(`
cluster c0ffee00: epoch 4, 1 of 2 voters reachable, 2 needed: nothing can be decided
  voters: 7a:01:02:03:04:05(alice) (this host), 7a:01:02:03:04:07(carol) (unreachable since
    2026-01-31T11:00:00Z)
  last removal in epoch 4: 2 hosts stayed; heir 7a:01:02:03:04:05(alice) (this host)
  continues beef from epoch 2, by force of 7a:01:02:03:04:05(alice) at 2026-01-31T11:00:00Z, without
    dave
`);
  });

  test("says whose addresses wait for whom", () => {
    expect(text).toContain(`
range 10.32.0.0/12: 1048576 addresses, ready
  524287 addresses of 7a:01:02:03:04:06(bob): 7a:01:02:03:04:05(alice) takes them when
    7a:01:02:03:04:07(carol) (unreachable since 2026-01-31T11:00:00Z) has answered
OWNER `);
  });

  test("says per owner what is used, since when it is away, what is wrong and which command mends it", () => {
    expect(text).toContain(`
7a:01:02:03:04:06(bob)       524287  50.0%     0  removed, unreachable
    10.40.0.0/14 10.44.0.0/14
    removed in epoch 4; waits for alice; run weave status ipam
7a:01:02:03:04:07(carol)          1  <0.1%     1  unreachable 2026-01-31T11:00:00Z
    it must answer once; run weave rmpeer carol
`);
  });

  test("names the containers that lost their address", () => {
    expect(text).toContain(`
addresses of containers here that others hold since this host was removed:
  10.32.0.9 of weave/c1/eth0: held on 7a:01:02:03:04:07(carol) now; delete this container`);
  });

  test("fits the terminal", () => {
    expect(text.split("\n").filter((line) => line.length > 100)).toEqual([]);
  });
});

test("the summary has a line for each, and the file of what was set aside", () => {
  const text = render(removing, undefined).replace(/\n {13}/g, " ");
  expect(text).toContain(
    "\ndecisions    epoch 4, 1 of 2 voters reachable, 2 needed: nothing can be decided\n",
  );
  expect(text).toContain("; 524287 addresses of removed hosts not taken yet\n");
  expect(text).toContain(
    "\nset aside    at 2026-01-31T11:00:00Z (removed): /var/lib/weave/aside-x-removed.json\n",
  );
});

test("when all is well there is little to say", () => {
  const configuration = { epoch: 1, voters: [voter(ALICE, "alice", true)], quorum: 1, lineage: [] };
  const text = render(status.parse({ ...healthy, configuration }), "ipam");
  expect(text).toContain(`OK

cluster c0ffee00: epoch 1, 1 of 1 voter reachable, 1 needed
  voters: 7a:01:02:03:04:05(alice) (this host)

range `);
});
