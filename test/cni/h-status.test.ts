// Cases 112-119 of the contract: STATUS says whether ADD would be served, soon, and changes nothing.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import { callPlugin } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { expectError, failureOf } from "./errors.ts";
import { remainsOf } from "./remains.ts";
import { type Attached, Rig, useRig } from "./rig.ts";

const CONFIG = { cniVersion: "1.1.0" };

describe("H. STATUS", () => {
  const rig = useRig();
  let host: Host;

  beforeAll(() => {
    host = rig.host;
  });

  const status = (config = {}): Promise<void> => rig.cni.status(rig.network({ ...CONFIG, ...config }));

  it("case 112: ready, silently, and nothing is changed", async () => {
    const before = await remainsOf(host);
    await status();
    expect(rig.cni.runs.at(-1)).toMatchObject({ command: "STATUS", stdout: "", stderr: "" });
    const own = await callPlugin(host, { command: "STATUS", config: { ...CONFIG, type: "weave-ipam" } });
    expect(own).toMatchObject({ exit: 0, stdout: "" });
    expect(await remainsOf(host)).toEqual(before);
  });

  it("case 113: the daemon is down, code 50", async () => {
    await host.stop();
    expectError((await failureOf(status())).run, 50, "weave launch");
    await host.launch();
    await host.untilOk();
    await status();
  });

  it("case 115: the kernel is not as containers need it, code 51", async () => {
    // At a start, because a running daemon reads the kernel anew only twice a minute.
    await host.stop();
    await host.namespace.run("ip link del vxlan-6784");
    await host.namespace.run("ip link add vxlan-6784 type bridge");
    await host.launch();
    const failure = await eventually(
      "STATUS notices",
      () =>
        status().then(
          () => undefined,
          (error: unknown) => failureOf(Promise.reject(error)),
        ),
      20_000,
    );
    expectError(failure.run, 51, "vxlan-6784");
    await host.namespace.run("ip link del vxlan-6784");
    await eventually(
      "STATUS is ready again",
      () =>
        status().then(
          () => true,
          () => undefined,
        ),
      20_000,
    );
  });

  it.each(["0.1.0", "0.4.0", "1.0.0"])("case 116: at %s, code 1", async (cniVersion) => {
    expectError(await callPlugin(host, { command: "STATUS", config: { cniVersion } }), 1, cniVersion);
  });

  it("case 117: the error of a foreign ipam.type is passed on", async () => {
    const failure = JSON.stringify({
      cniVersion: "1.1.0",
      code: 50,
      msg: "no addresses are left",
      details: "none",
    });
    const script = `#!/bin/sh\n[ "$CNI_COMMAND" = STATUS ] && { cat > "$0.stdin"; echo '${failure}'; exit 1; }\nexit 0\n`;
    writeFileSync(join(host.cniBinDir, "sad-ipam"), script, { mode: 0o755 });
    const { run } = await failureOf(status({ ipam: { type: "sad-ipam" } }));
    expectError(run, 50, "no addresses are left");
  });

  it("case 118: the daemon hangs: code 50 within a second", async () => {
    process.kill(host.pid(), "SIGSTOP");
    try {
      const { run } = await failureOf(status());
      expectError(run, 50);
      expect(run.ms).toBeLessThan(1000);
    } finally {
      process.kill(host.pid(), "SIGCONT");
    }
  });
});

describe("H. STATUS of a range without free addresses", () => {
  const rig = useRig({ launch: ["--ipalloc-range", "10.99.0.0/29"] });

  it("case 114: code 50 when it is exhausted; case 119: ADD does not ask STATUS", async () => {
    const network = rig.network(CONFIG);
    await rig.cni.status(network);
    const attached: Attached[] = [];
    for (let count = 0; count < 5; count++) attached.push(await rig.attached(network));
    expectError((await failureOf(rig.cni.status(network))).run, 50, "address");
    // Attempted all the same, with its own answer; and served as soon as there is an address.
    expect((await failureOf(rig.attached(network))).code).toBe(102);
    const [freed] = attached.splice(0, 1);
    if (freed !== undefined) await rig.detach(freed);
    attached.push(await rig.attached(network));
    for (const one of attached) await rig.detach(one);
    await rig.cni.status(network);
  });
});

describe("H. STATUS without a ring", () => {
  const lab = useLab(1);
  const rig = new Rig(lab);

  it("case 114: code 50 while no peer that knows the ring was found", async () => {
    await lab.host(1).launch("198.51.100.99");
    expectError((await failureOf(rig.cni.status(rig.network(CONFIG)))).run, 50, "weave status");
    expect((await failureOf(rig.attached())).code).toBe(11);
  });
});

describe("H. STATUS of a host that is cut off", () => {
  const rig = useRig({ hosts: 2 });

  // Declined: the contract has 51 for a partition. One dead host would take all others out of service where a
  // runtime reports STATUS as the node's readiness; `weave status` tells of it.
  it("case 115: ready: ADD is served, and one host's death is not another's", async () => {
    await rig.lab.host(2).kill();
    await rig.host.until("it misses its peer", ({ peers }) => peers.some(({ reachable }) => !reachable));
    await rig.cni.status(rig.network(CONFIG));
    await rig.detach(await rig.attached());
  });
});
