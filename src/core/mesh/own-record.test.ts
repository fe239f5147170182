import { describe, expect, it } from "vitest";
import { plainConfig } from "../../../test/support/node-config.ts";
import { macForName } from "../address/mac.ts";
import { OriginMap } from "../crdt/origin-map.ts";
import { seededRandom } from "../random.ts";
import { introduction } from "./hello.ts";
import { Mesh } from "./mesh.ts";
import { OwnRecord } from "./own-record.ts";

/** Alice's record among so many peers; her connections are made by hand. */
function rig(peers = 3, pinned = false, bridgeMac = macForName("alice")) {
  const config = plainConfig("alice", "10.32.0.0/24", { underlay: { address: "192.0.2.1", pinned } });
  const mesh = new Mesh(introduction({ ...config, universes: [] }), seededRandom(1));
  const channel = new OriginMap("alice");
  const own = new OwnRecord({
    config,
    bridgeMac,
    mtu: () => 1450,
    channel,
    links: () => mesh.links(),
    limit: 32,
    peers: () => peers,
    standing: () => ({ joined: 1, candidate: undefined }),
    hasRings: () => true,
  });
  let conn = 0;
  const meet = (name: string, localAddress: string): void => {
    const event = { type: "conn-up", remoteAddress: "192.0.2.7", remotePort: 1, localAddress } as const;
    mesh.up({ ...event, conn: ++conn }, 0, []);
    const link = mesh.link(conn);
    if (link === undefined) throw new Error("no link");
    const theirs = introduction({ ...config, universes: [], name, uid: `uid of ${name}` });
    mesh.hello(link, { ...theirs, nonce: "00000000" }, 0, []);
    own.adoptUnderlay(link);
  };
  return { own, channel, meet };
}

describe("connections", () => {
  it("are told at once, and then not more often than so many peers can hear", () => {
    const { own } = rig(100);
    own.linksChanged(1_000);
    expect([own.isDue(999), own.isDue(1_000)]).toEqual([false, true]);
    own.publish(1_000);
    expect(own.nextDeadline()).toBeUndefined();
    own.linksChanged(1_010);
    own.linksChanged(1_200);
    expect([own.nextDeadline(), own.isDue(1_499), own.isDue(1_500)]).toEqual([1_500, false, true]);
  });

  it("are not told by a host that has left", () => {
    const { own } = rig();
    own.linksChanged(0);
    own.withdraw();
    expect([own.nextDeadline(), own.publish(0)]).toEqual([undefined, undefined]);
  });
});

it("the bridge's MAC is told where it is not the one made of the name", () => {
  expect(rig().own.publish(0)?.value).not.toHaveProperty("bridgeMac");
  const { own } = rig(3, false, "02:b0:00:00:00:0a");
  expect(own.publish(0)?.value).toMatchObject({ bridgeMac: "02:b0:00:00:00:0a", mtu: 1450 });
});

describe("the address told", () => {
  it("is that of the first connection, and stays while one leaves from it", () => {
    const { own, meet } = rig();
    meet("bob", "192.0.2.5");
    expect(own.underlay).toBe("192.0.2.5");
    meet("carol", "192.0.2.6");
    expect(own.underlay).toBe("192.0.2.5");
    own.moveTo("192.0.2.9");
    expect(own.publish(0)?.value).toMatchObject({ underlay: "192.0.2.9" });
  });

  it("is what the operator pinned, whatever happens", () => {
    const { own, meet } = rig(3, true);
    meet("bob", "192.0.2.5");
    own.moveTo("192.0.2.9");
    expect(own.underlay).toBe("192.0.2.1");
  });
});

it("another process that speaks in our name is told by name and place", () => {
  const { own, channel } = rig();
  const mine = own.publish(0);
  if (mine === undefined) throw new Error("nothing said");
  own.heard([mine]);
  expect(own.clone).toBeUndefined();
  const theirs = {
    ...(mine.value as object),
    uid: "another process",
    nickname: "copy",
    underlay: "192.0.2.66",
  };
  own.heard([{ ...mine, value: theirs }]);
  expect(own.clone).toBe("copy at 192.0.2.66");
  expect(channel.get("alice", "self")).toEqual(mine.value);
});
