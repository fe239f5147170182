import { describe, expect, test } from "vitest";
import { parseCniArgs, parseWishes } from "./wishes.ts";

const wishes = (cniArgs: string, args?: unknown, runtimeConfig?: unknown): unknown =>
  parseWishes(parseCniArgs(cniArgs), args, runtimeConfig);
const none = { addresses: [], ports: [], dns: {} };

describe("CNI_ARGS", () => {
  test.each(["A=B=C", "IP", "=x", "IP=10.0.0.1;", "K8S_POD_NAME=a;;IgnoreUnknown=1"])(
    "%s is refused with code 4",
    (text) => {
      expect(() => parseCniArgs(text)).toThrow(expect.objectContaining({ code: 4 }));
    },
  );

  test("an unknown key needs IgnoreUnknown", () => {
    expect(() => parseCniArgs("FOO=bar")).toThrow(
      expect.objectContaining({ code: 4, message: expect.stringContaining("FOO") }),
    );
    expect(() => parseCniArgs("FOO=bar;IgnoreUnknown=0")).toThrow(expect.objectContaining({ code: 4 }));
    expect(parseCniArgs("FOO=bar;IgnoreUnknown=1").get("FOO")).toBe("bar");
    expect(parseCniArgs("IgnoreUnknown=true;FOO=bar").get("FOO")).toBe("bar");
  });

  test("Kubernetes' keys are known in any order", () => {
    const text =
      "K8S_POD_UID=u;IP=10.32.0.9;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c";
    expect(wishes(text)).toEqual({ ...none, addresses: ["10.32.0.9"] });
    expect(wishes(text.split(";").reverse().join(";"))).toEqual({ ...none, addresses: ["10.32.0.9"] });
  });
});

describe("addresses", () => {
  test("of all three places, with and without prefix, once each", () => {
    const args = { cni: { ips: ["10.32.0.6", "10.32.0.7/16"] } };
    expect(wishes("IP=10.32.0.5", args, { ips: ["10.32.0.6/12", "fd00:0::7"] })).toEqual({
      ...none,
      addresses: ["10.32.0.5", "10.32.0.6/12", "10.32.0.7/16", "fd00::7"],
    });
  });

  test("that a Mesos framework asks for; an entry without an address asks for any", () => {
    const asked = [{ protocol: "IPv4" }, { protocol: "IPv4", ip_address: "10.32.0.8" }];
    const args = { "org.apache.mesos": { network_info: { name: "weave", ip_addresses: asked } } };
    expect(wishes("", args)).toEqual({ ...none, addresses: ["10.32.0.8"] });
  });

  test("runtimeConfig members count in any case, as containerd sends them", () => {
    expect(wishes("", undefined, { IPs: ["10.32.0.6"], Mac: "02:00:00:00:00:09" })).toEqual({
      ...none,
      addresses: ["10.32.0.6"],
      mac: "02:00:00:00:00:09",
    });
  });

  test("what is no address is an error: 4 from the environment, 7 from the configuration", () => {
    expect(() => wishes("IP=10.32.0")).toThrow(expect.objectContaining({ code: 4 }));
    expect(() => wishes("", { cni: { ips: ["x"] } })).toThrow(expect.objectContaining({ code: 7 }));
    expect(() => wishes("", {}, { ips: "10.32.0.6" })).toThrow(expect.objectContaining({ code: 7 }));
    expect(() => wishes("", {}, { ips: [7] })).toThrow(expect.objectContaining({ code: 7 }));
  });

  test("null, empty and foreign metadata ask for nothing", () => {
    expect(wishes("", { "org.apache.mesos": { network_info: {} } }, null)).toEqual(none);
    expect(wishes("", [], { ips: null, mac: "" })).toEqual(none);
  });
});

describe("MAC", () => {
  test("runtimeConfig before args.cni before CNI_ARGS", () => {
    const args = { cni: { mac: "02:00:00:00:00:02" } };
    const three = wishes("MAC=02-00-00-00-00-0A", args, { mac: "02:00:00:00:00:03" });
    expect(three).toMatchObject({ mac: "02:00:00:00:00:03" });
    expect(wishes("MAC=02-00-00-00-00-0A", args)).toMatchObject({ mac: "02:00:00:00:00:02" });
    expect(wishes("MAC=02-00-00-00-00-0A")).toMatchObject({ mac: "02:00:00:00:00:0a" });
  });

  test.each(["01:00:5e:00:00:01", "00:00:00:00:00:00", "02:00:00:00:00", "nonsense"])(
    "%s is refused",
    (mac) => {
      expect(() => wishes(`MAC=${mac}`)).toThrow(expect.objectContaining({ code: 4 }));
      expect(() => wishes("", {}, { mac })).toThrow(expect.objectContaining({ code: 7 }));
    },
  );
});

describe("dns of the runtime", () => {
  test("bears the result's names, in any case; empty lists say nothing", () => {
    const dns = { Servers: ["10.0.0.1"], Searches: ["a.b"], Options: [] };
    expect(wishes("", undefined, { dns })).toEqual({
      ...none,
      dns: { nameservers: ["10.0.0.1"], search: ["a.b"] },
    });
  });

  test("is refused when it is no list of texts", () => {
    for (const dns of [{ servers: "10.0.0.1" }, { options: [1] }])
      expect(() => wishes("", undefined, { dns })).toThrow(expect.objectContaining({ code: 7 }));
  });
});
