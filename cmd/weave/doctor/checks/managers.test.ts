import { describe, expect, it } from "vitest";
import { parseStates } from "../facts/network-manager.ts";
import { fileFor } from "../facts/networkd.ts";
import { judgeManagers } from "./managers.ts";

const links = ["weave", "vxlan-6784", "vw0123456789ab"];
const states = (state: string): ReadonlyMap<string, string> => new Map([["vxlan-6784", state]]);

describe("NetworkManager", () => {
  it.each(["unmanaged", "connected (externally)", "unavailable"])("looks on: %s", (state) => {
    const { findings, notes } = judgeManagers({
      links,
      networkManager: { states: states(state), toldOff: true },
    });
    expect({ findings, notes }).toEqual({ findings: [], notes: [] });
  });

  it.each(["connected", "disconnected", "connecting (getting IP configuration)"])("manages: %s", (state) => {
    const { findings } = judgeManagers({ links, networkManager: { states: states(state), toldOff: false } });
    expect(findings).toMatchObject([{ code: "managed-link", object: "vxlan-6784" }]);
    expect(findings[0]?.command).toContain("'unmanaged-devices+=interface-name:vw*'");
  });

  it("that is not told of weave is a note", () => {
    const { findings, notes } = judgeManagers({
      links: [],
      networkManager: { states: new Map(), toldOff: false },
    });
    expect(findings).toEqual([]);
    expect(notes).toMatchObject([{ code: "manager-unaware" }]);
  });

  it("is read in nmcli's terse form", () => {
    expect(parseStates("weave:unmanaged\nwlan0\\:1:connected (externally)\n\n")).toEqual(
      new Map([
        ["weave", "unmanaged"],
        ["wlan0:1", "connected (externally)"],
      ]),
    );
  });
});

describe("systemd-networkd", () => {
  const file = { path: "/etc/systemd/network/50-all.network", leaves: false };

  it("left the links alone", () => {
    const networkd = {
      links: new Map([["weave", { state: "unmanaged", file: undefined }]]),
      files: new Map(),
    };
    expect(judgeManagers({ links, networkd }).findings).toEqual([]);
  });

  it("took one", () => {
    const networkd = {
      links: new Map([["weave", { state: "configured", file: file.path }]]),
      files: new Map([["weave", file]]),
    };
    expect(judgeManagers({ links, networkd }).findings).toMatchObject([
      { code: "managed-link", object: "weave", message: expect.stringContaining(file.path) },
    ]);
  });

  it("would take one, unless the file says to leave it", () => {
    const facts = (leaves: boolean) => ({
      links: [],
      networkd: { links: new Map(), files: new Map([["vw0123456789ab", { ...file, leaves }]]) },
    });
    expect(judgeManagers(facts(false)).findings).toMatchObject([{ object: "vw*" }]);
    expect(judgeManagers(facts(true)).findings).toEqual([]);
  });

  it.each([
    ["[Match]\nName=*\n[Network]\nDHCP=yes\n", "weave"],
    ["[Match]\nName=eth* we*\n", "weave"],
    ["[Match]\nName=!eth*\n", "weave"],
    ["[Match]\nKind=bridge\n", "weave"],
    ["[Match]\nType=ether\nName=v*\n", "vxlan-6784"],
  ])("%j takes %s", (text, name) => {
    const kind = name === "weave" ? "bridge" : "vxlan";
    expect(fileFor([{ path: "a", text }], { name, kind })).toEqual({ path: "a", leaves: false });
  });

  it.each([
    "[Match]\nName=eth*\n",
    "[Match]\nMACAddress=02:00:00:00:00:01\n",
    "[Match]\nName=* !weave\nPath=pci-*\n",
    "[Match]\nType=wlan\n",
    "[Network]\nName=weave\n",
  ])("%j takes none of ours", (text) => {
    expect(fileFor([{ path: "a", text }], { name: "weave", kind: "bridge" })).toBeUndefined();
  });

  it("the first file by name counts", () => {
    const files = [
      { path: "00-weave.network", text: "[Match]\nName=weave vw*\n[Link]\nUnmanaged=yes\n" },
      { path: "50-all.network", text: "[Match]\nName=*\n" },
    ];
    expect(fileFor(files, { name: "weave", kind: "bridge" })?.leaves).toBe(true);
    expect(fileFor(files, { name: "vxlan-6784", kind: "vxlan" })?.leaves).toBe(false);
  });
});
