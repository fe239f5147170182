import { expect, test } from "vitest";
import { Harness } from "./testing/harness.ts";

const daemon = new Harness();

test.each(["x/..", "-x", "a b", "x%%", "é", ".x"])(
  "container id %j: code 4 with the id as details",
  async (id) => {
    expect((await daemon.call("ADD", { id })).json).toMatchObject({ code: 4, details: id });
  },
);

test.each(["a", "a".repeat(64), `${"a".repeat(36)}.${"b".repeat(36)}`, "9".repeat(255)])(
  "container id %s is legal",
  async (id) => {
    expect((await daemon.call("DEL", { id })).exit).toBe(0);
  },
);

test.each(["a".repeat(16), "ä".repeat(8), ".", "..", "a/b", "a:b", "a b", "a\tb", "a\u00a0b", "a\u0085b"])(
  "ifname %j: code 4",
  async (ifname) => {
    expect((await daemon.call("ADD", { ifname })).json).toMatchObject({ code: 4, details: ifname });
  },
);

test("all missing variables are named together", async () => {
  const { json } = await daemon.call("ADD", { id: "", ifname: "", netns: "" });
  expect(json).toMatchObject({
    code: 4,
    msg: expect.stringContaining("[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME]"),
  });
  expect((await daemon.call("CHECK", { netns: "" })).json).toMatchObject({
    code: 4,
    msg: expect.stringContaining("CNI_NETNS"),
  });
  expect((await daemon.call("DEL", { netns: "" })).exit).toBe(0);
});

test.each([
  ["", 6],
  ["{nope", 6],
  ["[]", 6],
  ["null", 6],
  ['"x"', 6],
  ['{"name":5}', 6],
  ['{"name":"n","cniVersion":1}', 6],
  ["{}", 7],
  ['{"name":null}', 7],
  ['{"name":"a b"}', 7],
  ['{"name":"n","cniVersion":"9.9.9"}', 1],
  ['{"name":"n","cniVersion":"1.0"}', 1],
])("stdin %s: code %i", async (config, code) => {
  for (const verb of ["ADD", "DEL"]) {
    const { exit, json } = await daemon.call(verb, { config });
    expect({ exit, code: json["code"] }).toEqual({ exit: 1, code });
    expect(json["msg"]).not.toBe("");
  }
});

test("an unsupported version names the supported ones", async () => {
  const { json } = await daemon.call("ADD", { config: { cniVersion: "1.0" } });
  expect(json["details"]).toContain('config is "1.0"');
  expect(json["details"]).toContain('"0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"');
});

test("bad JSON is found before the unknown command, the unknown command before the version", async () => {
  expect((await daemon.call("FOO", { config: "{" })).json).toMatchObject({ code: 6 });
  expect((await daemon.call("FOO", { config: { cniVersion: "9" } })).json).toMatchObject({
    code: 4,
    msg: "unknown CNI_COMMAND: FOO",
  });
});

test.each([
  ["CHECK", "0.3.1"],
  ["GC", "1.0.0"],
  ["STATUS", "1.0.0"],
])("%s needs more than config version %s", async (verb, cniVersion) => {
  expect((await daemon.call(verb, { config: { cniVersion } })).json).toMatchObject({ code: 1, cniVersion });
});

test("errors carry the version of the configuration, the newest when it is not ours", async () => {
  const versionOfError = async (config: Record<string, unknown> | string): Promise<unknown> =>
    (await daemon.call("ADD", { config, ifname: "a:b" })).json["cniVersion"];
  expect(await versionOfError({ cniVersion: "0.4.0" })).toBe("0.4.0");
  expect(await versionOfError('{"name":"n"}')).toBe("0.1.0");
  expect(await versionOfError({ cniVersion: "7" })).toBe("1.1.0");
  expect(await versionOfError("{")).toBe("1.1.0");
});

test("a body that is not the forwarder's is an error with a cure, not a crash", async () => {
  for (const body of [
    undefined,
    null,
    7,
    "x",
    {},
    { program: "other" },
    { program: "weave-net", env: { CNI_COMMAND: 5 } },
  ]) {
    const answer = await daemon.plugin.handle(body, new AbortController().signal);
    expect(answer.exit).toBe(1);
    expect(JSON.parse(answer.stdout)).toMatchObject({ code: 5, msg: expect.stringContaining("weave setup") });
  }
});
