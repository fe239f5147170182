// Cases 49 and 50 of the contract: a container that names its address or its MAC, in each of the three places.
import { beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../kernel/support/namespaces.ts";
import type { Host } from "../support/host.ts";
import { failureOf } from "./errors.ts";
import { type Remains, remainsOf } from "./remains.ts";
import { listOf } from "./results.ts";
import { useRig, type Wishes } from "./rig.ts";

/** One place where runtimes put wishes. */
interface Place {
  readonly where: string;
  readonly config?: JsonObject;
  readonly wishes?: Wishes;
}

const places = (key: "ip" | "mac", value: string): Record<"environment" | "args" | "runtime", Place> => {
  const member = key === "ip" ? { ips: [value] } : { mac: value };
  const capability = key === "ip" ? { ips: true } : { mac: true };
  return {
    environment: {
      where: `CNI_ARGS ${key.toUpperCase()}=`,
      wishes: {
        args: [
          ["IgnoreUnknown", "1"],
          [key.toUpperCase(), value],
        ],
      },
    },
    args: { where: "args.cni", config: { args: { cni: member } } },
    runtime: {
      where: "runtimeConfig",
      config: { capabilities: capability },
      wishes: { capabilityArgs: member },
    },
  };
};

describe("C. what a container asks for", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
  });

  const attach = (...all: readonly Place[]) =>
    rig.attached(
      rig.network(Object.assign({}, ...all.map(({ config }) => config))),
      Object.assign({}, ...all.map(({ wishes }) => wishes)),
    );

  describe("case 49: an address", () => {
    const { environment, args, runtime } = places("ip", "10.40.0.7");
    const {
      environment: withPrefix,
      args: argsPrefix,
      runtime: runtimePrefix,
    } = places("ip", "10.40.0.7/16");

    it.each([environment, args, runtime])("by $where is the one it gets", async (place) => {
      const attached = await attach(place);
      expect(listOf(attached.result, "ips")).toMatchObject([{ address: "10.40.0.7/12" }]);
      const [link] = await attached.pod.namespace.json("ip -j -4 address show eth0");
      expect(link?.["addr_info"]).toMatchObject([{ local: "10.40.0.7", prefixlen: 12 }]);
      await rig.detach(attached);
    });

    it.each([withPrefix, argsPrefix, runtimePrefix])("by $where with a prefix", async (place) => {
      const attached = await attach(place);
      expect(listOf(attached.result, "ips")).toMatchObject([{ address: "10.40.0.7/16" }]);
      await rig.detach(attached);
    });

    it("in all three places at once is one address", async () => {
      const attached = await attach(environment, args, runtime);
      expect(listOf(attached.result, "ips")).toHaveLength(1);
      await rig.detach(attached);
    });

    it.each([environment, args, runtime])(
      "by $where that is taken: refused, no other given",
      async (place) => {
        const holder = await attach(environment);
        const held = await remainsOf(host);
        expect((await failureOf(attach(place))).code).toBe(103);
        expect(await remainsOf(host)).toEqual(held);
        await rig.detach(holder);
      },
    );

    it("outside the range, or none at all: refused", async () => {
      for (const address of ["192.0.2.1", "10.31.255.255", "10.32.0.0", "10.47.255.255"]) {
        const { environment: one, args: two, runtime: three } = places("ip", address);
        for (const place of [one, two, three]) expect((await failureOf(attach(place))).code).toBe(7);
      }
      const { environment: one, args: two, runtime: three } = places("ip", "10.40.0");
      expect((await failureOf(attach(one))).code).toBe(4);
      for (const place of [two, three]) expect((await failureOf(attach(place))).code).toBe(7);
      expect(await remainsOf(host)).toEqual(before);
    });

    it("of the bridge is taken", async () => {
      const bridge = before.endpoints[0] ?? "";
      expect((await failureOf(attach(places("ip", bridge).environment))).code).toBe(103);
    });

    it("of the runtime is given to a plugin that declares the capability, and to no other", async () => {
      const undeclared = { where: "", wishes: { capabilityArgs: { ips: ["10.40.0.7"] } } };
      const attached = await attach(undeclared);
      expect(attached.address).not.toBe("10.40.0.7");
      await rig.detach(attached);
    });
  });

  describe("case 50: a MAC", () => {
    const { environment, args, runtime } = places("mac", "02:11:22:33:44:01");

    async function macOf(...all: readonly Place[]): Promise<unknown> {
      const attached = await attach(...all);
      const mac = await attached.pod.mac();
      expect(listOf(attached.result, "interfaces")[2]).toMatchObject({ mac });
      const endpoint = (await host.status()).endpoints.find(({ address }) => address === attached.address);
      expect(endpoint).toMatchObject({ mac });
      await rig.detach(attached);
      return mac;
    }

    it.each([environment, args, runtime])("by $where is the one it gets", async (place) => {
      expect(await macOf(place)).toBe("02:11:22:33:44:01");
    });

    it("runtimeConfig comes before args.cni before CNI_ARGS", async () => {
      const other = places("mac", "02:11:22:33:44:02");
      const third = places("mac", "02:11:22:33:44:03");
      expect(await macOf(environment, other.args)).toBe("02:11:22:33:44:02");
      expect(await macOf(environment, other.args, third.runtime)).toBe("02:11:22:33:44:03");
      expect(await macOf(environment, third.runtime)).toBe("02:11:22:33:44:03");
    });

    it("without one it is 02:a0 and the IPv4 address", async () => {
      const address = places("ip", "10.40.1.255").environment;
      expect(await macOf(address)).toBe("02:a0:0a:28:01:ff");
    });

    it.each(["02:11:22:33:44", "nonsense", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])(
      "%s is none: refused",
      async (mac) => {
        const wrong = places("mac", mac);
        expect((await failureOf(attach(wrong.environment))).code).toBe(4);
        expect((await failureOf(attach(wrong.args))).code).toBe(7);
        expect((await failureOf(attach(wrong.runtime))).code).toBe(7);
        expect(await remainsOf(host)).toEqual(before);
      },
    );
  });
});
