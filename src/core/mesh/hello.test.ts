import { expect, it } from "vitest";
import { plainConfig } from "../../../test/support/node-config.ts";
import { introduction } from "./hello.ts";

it("a host tells its neighbours of its configuration what they judge it by, and nothing else", () => {
  const config = plainConfig("alice", "10.32.0.0/24", {
    foundCommand: "weave launch --of-nobody-s-business",
  });
  expect(introduction({ ...config, universes: ["10.32.0.0/24"] })).toEqual({
    t: "hello",
    protocol: { min: 2, max: 2 },
    software: "test",
    name: "alice",
    nickname: "alice",
    uid: config.uid,
    incarnation: "alice disk",
    universes: ["10.32.0.0/24"],
    vni: 1,
    vxlanPort: 6784,
    capabilities: [],
  });
});
