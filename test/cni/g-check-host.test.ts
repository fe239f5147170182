// CHECK looks at the host, too: whatever somebody removed there is told with code 105, and is back soon after.
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import { expectError } from "./errors.ts";
import { type Remains, remainsOf } from "./remains.ts";
import { type Attached, useRig } from "./rig.ts";

/** From the failed CHECK on. */
const REPAIRED_MS = 3_000;

describe("CHECK of the host", () => {
  const rig = useRig();
  let before: Remains;
  let attached: Attached;

  beforeAll(async () => {
    before = await remainsOf(rig.host);
    const capabilities = { portMappings: true, bandwidth: true };
    attached = await rig.attached(rig.network({ capabilities }), {
      capabilityArgs: {
        portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }],
        bandwidth: { ingressRate: 10e6, ingressBurst: 1e6, egressRate: 10e6, egressBurst: 1e6 },
      },
    });
  });

  const check = (): Promise<void> => rig.cni.check(attached.network, attached.attachment);
  const succeeds = (): Promise<boolean> =>
    check().then(
      () => true,
      () => false,
    );

  it.each([
    ["nft flush ruleset", "firewall table inet weave"],
    ["nft flush map inet weave ports4", "ports4"],
    ["tc qdisc del dev vwX root", "vwX"],
    ["ip link del viX", "viX"],
    ["tc qdisc del dev vwX ingress", "vwX"],
    ["bridge link set dev vwX hairpin off", "vwX", "hairpin"],
    ["ip link set vwX nomaster", "vwX", "weave"],
    ["ip link set vwX down", "vwX", "down"],
    ["ip addr del GATEWAY dev weave", "GATEWAY"],
    ["ip link set weave down", "weave is down"],
    ["ip link del vxlan-6784", "vxlan-6784"],
    ["sysctl -qw net.ipv4.ip_forward=0", "ip_forward"],
    ["ip link del weave", "weave"],
  ])("%s", async (command, ...says) => {
    const { hostIfname } = attached.pod;
    const [bridge] = await rig.host.namespace.json("ip -j -4 addr show dev weave");
    const [gateway] = Array.isArray(bridge?.["addr_info"]) ? bridge["addr_info"] : [];
    const named = (text: string): string =>
      text
        .replace("vwX", hostIfname)
        .replace("viX", hostIfname.replace("vw", "vi"))
        .replace("GATEWAY", `${gateway?.["local"]}/${gateway?.["prefixlen"]}`);
    await eventually("CHECK succeeds", succeeds, REPAIRED_MS);
    // The daemon looks by itself now and then, and may have come between: then it is done again.
    await eventually("CHECK fails", async () => {
      await rig.host.namespace.run(named(command));
      return !(await succeeds());
    });
    const run = rig.cni.runs.at(-1);
    const failedAt = performance.now();
    if (run === undefined) throw new Error("no plugin was run");
    expectError(run, 105, ...says.map(named));
    await eventually("CHECK succeeds again", succeeds, REPAIRED_MS);
    expect(performance.now() - failedAt).toBeLessThan(REPAIRED_MS);
  });

  it("limits that went while the daemon was away are back when it is", async () => {
    const { hostIfname } = attached.pod;
    await rig.host.stop();
    await rig.host.namespace.run(`tc qdisc del dev ${hostIfname} root`);
    await rig.host.launch();
    await rig.host.untilOk();
    expect(await rig.host.namespace.run(`tc qdisc show dev ${hostIfname}`)).toContain("tbf");
    await check();
  });

  it("DEL leaves nothing of it", async () => {
    await rig.detach(attached);
    expect(await remainsOf(rig.host)).toEqual(before);
  });
});
