import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { temporaryDirectory } from "../testing/harness.ts";
import { type NetworkFile, readNetworkFiles } from "./network-files.ts";

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function put(file: string, content: unknown): void {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  writeFileSync(join(directory.path, file), text);
}

function readOne(file: string, content: unknown): NetworkFile | undefined {
  put(file, content);
  return readNetworkFiles(directory.path)[0];
}

test("by extension and in the order of names, directories left out", () => {
  for (const name of [
    "20-b.json",
    "10-a.conflist",
    "10-a.conf",
    "a.conf.off",
    "README",
    "B.conf",
    ".10-x.conf",
  ]) {
    put(name, { name: "n", type: "t" });
  }
  mkdirSync(join(directory.path, "05-d.conf"));
  expect(readNetworkFiles(directory.path).map(({ file }) => file)).toEqual([
    ".10-x.conf",
    "10-a.conf",
    "10-a.conflist",
    "20-b.json",
    "B.conf",
  ]);
});

describe("what a runtime understands", () => {
  test("a single plugin, with the one its IPAM delegates to", () => {
    const read = readOne("a.conf", {
      cniVersion: "0.4.0",
      name: "n",
      type: "bridge",
      ipam: { type: "host-local" },
    });
    const types = ["bridge", "host-local"];
    expect(read).toMatchObject({ network: { name: "n", versions: ["0.4.0"], chain: ["bridge"], types } });
  });

  test("without a version and with null for what is absent", () => {
    const read = readOne("a.json", { type: "t", cniVersion: "", ipam: null, cniVersions: null });
    expect(read).toMatchObject({ network: { name: "", versions: ["0.1.0"], types: ["t"] } });
  });

  test("a list: all versions, every executable once", () => {
    const plugins = [
      { type: "weave-net", ipam: { type: "weave-ipam" } },
      { type: "portmap" },
      { type: "portmap" },
    ];
    const read = readOne("a.conflist", {
      name: "n",
      cniVersion: "1.0.0",
      cniVersions: ["1.1.0", "0.4.0"],
      plugins,
    });
    expect(read).toMatchObject({
      network: {
        versions: ["0.4.0", "1.0.0", "1.1.0"],
        chain: ["weave-net", "portmap", "portmap"],
        types: ["weave-net", "portmap", "weave-ipam"],
      },
    });
  });

  test("plugins in the directory of the list's name belong to its chain, unless it forbids that", () => {
    mkdirSync(join(directory.path, "n"));
    put("n/20-b.conf", { type: "b" });
    put("n/10-a.conf", { type: "a" });
    put("n/30-c.json", { type: "c" });
    const list = { name: "n", plugins: [{ type: "weave-net" }] };
    expect(readOne("a.conflist", list)).toMatchObject({ network: { chain: ["weave-net", "a", "b"] } });
    for (const alone of [true, "true"]) {
      expect(readOne("a.conflist", { ...list, loadOnlyInlinedPlugins: alone })).toMatchObject({
        network: { chain: ["weave-net"] },
      });
    }
    put("n/10-a.conf", "{");
    expect(readOne("a.conflist", list)).toHaveProperty("unparsable");
  });
});

describe("what no runtime understands", () => {
  test.each([
    ["a.conf", "", /not JSON/],
    ["a.conf", "{", /not JSON/],
    ["a.conf", "[]", /expected object/i],
    ["a.conf", { name: "n" }, /^type: /],
    ["a.conf", { type: "../../bin/sh" }, /^type: is not the name of a file/],
    ["a.conf", { name: "n", plugins: [{ type: "t" }] }, /a list .* named \.conflist/],
    ["a.conflist", { name: "n", type: "t" }, /^plugins: /],
    ["a.conflist", { plugins: [{ type: "t" }] }, /^name: /],
    ["a.conflist", { name: "n", plugins: [] }, /^plugins: /],
    ["a.conflist", { name: "n", plugins: [{ type: "t" }, {}] }, /^plugins\.1\.type: /],
    ["a.conflist", { name: "n", plugins: Array(65).fill({ type: "t" }) }, /^plugins: /],
    ["a.conflist", " ".repeat(1024 * 1024 + 1), /larger/],
  ])("%s %j", (file, content, reason) => {
    expect(readOne(file, content)).toMatchObject({ file, unparsable: expect.stringMatching(reason) });
  });

  test("a link that leads nowhere, and a device that never ends", () => {
    symlinkSync("nowhere", join(directory.path, "a.conf"));
    symlinkSync("/dev/zero", join(directory.path, "b.conf"));
    expect(readNetworkFiles(directory.path)).toEqual([
      { file: "a.conf", unparsable: "it is a link that leads nowhere" },
      { file: "b.conf", unparsable: "it is not a regular file" },
    ]);
  });
});
