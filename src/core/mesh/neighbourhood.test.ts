import { expect, it } from "vitest";
import { OriginMap } from "../crdt/origin-map.ts";
import { seededRandom } from "../random.ts";
import { introduction } from "./hello.ts";
import { Mesh } from "./mesh.ts";
import { Neighbourhood } from "./neighbourhood.ts";
import { PEER_KEY } from "./peer-record.ts";

const facts = {
  software: "",
  nickname: "h1",
  uid: "u",
  incarnation: "i",
  universes: [],
  vni: 1,
  vxlanPort: 1,
};

/** Alice without links, who was told of these: name to nickname. */
function alice(others: Readonly<Record<string, string>>) {
  const map = new OriginMap("alice");
  const said = {
    uid: "u",
    incarnation: "i",
    software: "",
    underlay: "192.0.2.1",
    port: 1,
    mtu: 1450,
    links: [],
  };
  for (const [origin, nickname] of Object.entries(others))
    map.merge([{ origin, key: PEER_KEY, version: 1, value: { ...said, nickname } }]);
  const mesh = new Mesh(introduction({ name: "alice", ...facts }), seededRandom(1));
  const around = new Neighbourhood("alice", map, mesh);
  around.restore();
  return { around, map };
}

it("a command calls a peer by its nickname, and by its name where that would be somebody else, too", () => {
  const { around } = alice({ bob: "h2", "bob-3f2a": "h2", carol: "h3", dave: "carol" });
  expect(["bob", "bob-3f2a", "carol", "dave", "erin"].map((name) => around.callName(name))).toEqual([
    "bob",
    "bob-3f2a",
    "h3",
    "dave",
    "erin",
  ]);
});

it("who is forgotten is not missed any more", () => {
  const { around } = alice({ bob: "h2" });
  around.linksChanged(0);
  around.tick(around.nextDeadline() ?? 0);
  expect([...around.unreachable.keys()]).toEqual(["bob"]);
  around.forgotten(["bob"]);
  expect([...around.unreachable.keys()]).toEqual([]);
  expect(around.records().has("bob")).toBe(false);
});
