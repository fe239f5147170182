import { describe, expect, it } from "vitest";
import { BRIDGE_SYSCTLS, FORWARDING } from "../../../../src/kernel/sysctl.ts";
import { judgeSysctls, type Setting, wantedSettings } from "./sysctls.ts";

const link = { index: 1, up: true, mtu: 1500, advertised: false };
const forwarding: Setting = { ...FORWARDING[4], name: "ipv4/ip_forward", actual: "1" };
const reversePath: Setting = {
  ...{ key: "ipv4/conf/DEV/rp_filter", value: "2", why: "loose" },
  ...{ name: "ipv4/conf/weave/rp_filter", actual: "2" },
};
const facts = { settings: [forwarding], reversePathOfAll: "0", readOnly: false };

describe("which settings matter", () => {
  it("none before there is anything of weave's", () => {
    expect(wantedSettings([{ ...link, name: "eth0", kind: "" }], [], undefined)).toEqual([]);
  });

  it("the bridge's and its ports', and forwarding once the bridge has an address", () => {
    const links = [
      { ...link, name: "weave", kind: "bridge" },
      { ...link, name: "vxlan-6784", kind: "vxlan" },
      { ...link, name: "vw0123456789ab", kind: "veth" },
      { ...link, name: "vwfoo", kind: "veth" },
      { ...link, name: "eth0", kind: "", advertised: true },
    ];
    const names = (addresses: string[]): string[] =>
      wantedSettings(
        links,
        addresses.map((address) => ({ dev: "weave", address, mtu: 1450 })),
        undefined,
      ).map(({ setting, device }) => setting.key.replace("DEV", device));
    const ofDevices = [
      ...BRIDGE_SYSCTLS.map(({ key }) => key.replace("DEV", "weave")),
      "ipv6/conf/vxlan-6784/disable_ipv6",
      "ipv6/conf/vw0123456789ab/disable_ipv6",
    ];
    expect(names([])).toEqual(ofDevices);
    expect(names(["10.32.0.1"])).toEqual([...ofDevices, "ipv4/ip_forward"]);
    expect(names(["fd00::1"])).toEqual([
      ...ofDevices,
      "ipv6/conf/all/forwarding",
      "ipv6/conf/eth0/accept_ra",
    ]);
  });
});

describe("settings", () => {
  it("are right", () => {
    expect(judgeSysctls(facts)).toEqual({ findings: [], saw: "1 setting" });
  });

  it("are wrong", () => {
    expect(judgeSysctls({ ...facts, settings: [{ ...forwarding, actual: "0" }] }).findings).toMatchObject([
      { code: "sysctl", object: "net.ipv4.ip_forward", command: "sysctl -w net.ipv4.ip_forward=1" },
    ]);
  });

  it.each([
    ["2", "0", true],
    ["2", "1", true],
    ["0", "0", true],
    ["0", "1", false],
    ["1", "0", false],
    ["1", "2", true],
  ])("rp_filter %s with %s for all", (actual, reversePathOfAll, isRight) => {
    const settings = [{ ...reversePath, actual }];
    expect(judgeSysctls({ ...facts, settings, reversePathOfAll }).findings.length === 0).toBe(isRight);
  });

  it("names of devices with dots are written with slashes", () => {
    const settings = [{ ...reversePath, name: "ipv4/conf/eth0.100/rp_filter", actual: "1" }];
    expect(judgeSysctls({ ...facts, settings }).findings[0]?.command).toBe(
      "sysctl -w net/ipv4/conf/eth0.100/rp_filter=2",
    );
  });

  it("cannot be written", () => {
    expect(judgeSysctls({ ...facts, readOnly: true }).findings).toMatchObject([{ code: "sysctl-read-only" }]);
  });
});
