// Calls at random, side by side, as no runtime should make them: whatever the order, each answers with a code of its
// own, and the last DEL of every attachment leaves nothing. Replay: WEAVE_SEED.
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../kernel/support/namespaces.ts";
import { type Libcni, PluginFailure } from "../support/libcni/libcni.ts";
import { expectEmpty, remainsOf, untilAsBefore } from "./remains.ts";
import { attachmentOf, useRig } from "./rig.ts";

const PODS = 5;
const CALLS = 250;
/** Chains of calls side by side. */
const LANES = 4;

/** 7: CHECK of what has no result; 11: cut short by a DEL; 100: there already; 101: no namespace; 103, 106: taken; 105. */
const EXPECTED: Readonly<Record<string, readonly number[]>> = {
  ADD: [11, 100, 103, 106],
  CHECK: [105],
  DEL: [],
  GC: [],
};

describe("calls at random", () => {
  const rig = useRig();

  it("leave nothing after the last DEL", async () => {
    const seed = Number(process.env["WEAVE_SEED"] ?? Date.now() % 2 ** 31);
    console.log(`calls at random: seed ${seed}`);
    const { host } = rig;
    const before = await remainsOf(host);
    const pods = Array.from({ length: PODS }, (_, number) => rig.pod(`chaos${number}`));
    const calls = fc.sample(
      fc.record({
        verb: fc.constantFrom("ADD", "ADD", "ADD", "DEL", "DEL", "CHECK", "GC"),
        pod: fc.nat(PODS - 1),
        ifname: fc.constantFrom("eth0", "eth1"),
        hostPort: fc.option(fc.integer({ min: 8080, max: 8083 }), { nil: undefined }),
        shaped: fc.boolean(),
        address: fc.option(fc.constantFrom("10.40.0.1", "10.40.0.2"), { nil: undefined }),
        foreign: fc.boolean(),
        /** Killed then, one call in four; the others end before. */
        killAfterMs: fc.nat(100),
        keep: fc.nat(PODS - 1),
      }),
      { numRuns: CALLS, seed },
    );
    const unexpected: string[] = [];
    /** Of the last ADD of each attachment that its caller saw succeed. */
    const results = new Map<string, JsonObject>();
    const served = new Map<string, number>();

    async function make(call: (typeof calls)[number]): Promise<void> {
      const pod = pods[call.pod];
      const kept = pods[call.keep];
      if (pod === undefined || kept === undefined) return;
      const network = rig.network({
        cniVersion: call.verb === "GC" ? "1.1.0" : "1.0.0", // Debian's static stops there
        capabilities: { portMappings: true, bandwidth: true, ips: true },
        isGateway: true, // without it no port of the host leads to a foreign subnet
        ipam:
          call.foreign && call.verb !== "GC"
            ? { type: "static", routes: [], addresses: [{ address: `10.100.0.${call.pod + 10}/24` }] }
            : { routes: [] },
      });
      const capabilityArgs: JsonObject = {};
      if (call.hostPort !== undefined)
        capabilityArgs["portMappings"] = [{ hostPort: call.hostPort, containerPort: 80, protocol: "tcp" }];
      if (call.shaped)
        capabilityArgs["bandwidth"] = {
          ingressRate: 1e7,
          ingressBurst: 1e6,
          egressRate: 1e7,
          egressBurst: 1e6,
        };
      if (call.address !== undefined && !call.foreign) capabilityArgs["ips"] = [call.address];
      const attachment = attachmentOf(pod, call.ifname, { capabilityArgs });
      const killer = new AbortController();
      if (call.killAfterMs <= 25) void delay(call.killAfterMs).then(() => killer.abort());
      const { signal } = killer;
      // One library for each call: caches of several runtimes that know nothing of each other.
      const cni: Libcni = rig.libraryOf(host);
      const key = `${call.pod} ${call.ifname}`;
      try {
        if (call.verb === "ADD") results.set(key, await cni.add(network, attachment, signal));
        else if (call.verb === "DEL") await cni.del(network, attachment, signal);
        else if (call.verb === "GC")
          await cni.gc(network, [attachmentOf(kept), attachmentOf(kept, "eth1")], signal);
        else {
          cni.cache.write(network, attachment, results.get(key) ?? { cniVersion: "1.0.0" });
          await cni.check(network, attachment, signal);
        }
        served.set(call.verb, (served.get(call.verb) ?? 0) + 1);
      } catch (error) {
        if (signal.aborted) return;
        const failures: unknown[] = error instanceof AggregateError ? error.errors : [error];
        for (const one of failures) {
          const code = one instanceof PluginFailure ? one.code : undefined;
          if (code === undefined || !EXPECTED[call.verb]?.includes(code)) unexpected.push(String(one));
        }
      }
    }

    const left = [...calls];
    const lane = async (): Promise<void> => {
      for (let call = left.shift(); call !== undefined; call = left.shift()) await make(call);
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    expect(unexpected, `seed ${seed}${host.logTail()}`).toEqual([]);

    for (const verb of ["ADD", "DEL", "GC"]) expect(served.get(verb), verb).toBeGreaterThan(0);

    const network = rig.network({ cniVersion: "1.1.0" });
    for (const pod of pods)
      for (const ifname of ["eth0", "eth1"])
        await rig.libraryOf(host).del(network, attachmentOf(pod, ifname));
    await untilAsBefore(host, before, `nothing is left, seed ${seed}`);
    for (const pod of pods) await expectEmpty(pod);
  });
});
