// Other plugins' address management below weave-net: all verbs reach it, its addresses are endpoints like any other, and
// an address that another host's container has is refused.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { CNI_VERSIONS } from "../../cni-plugin/versions.ts";
import { eventually, type JsonObject } from "../kernel/support/namespaces.ts";
import { callPlugin } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { RESULT_SCHEMAS } from "../support/libcni/schema.ts";
import { slowNamespaceWork } from "../support/strace.ts";
import { expectError, failureOf } from "./errors.ts";
import { expectEmpty, type Remains, remainsOf, untilAsBefore } from "./remains.ts";
import { listOf } from "./results.ts";
import { attachmentOf, DEBIAN, useRig } from "./rig.ts";

/** See c-daemon.test.ts: steps 0 and 1 identify the namespace, 2 and 3 make the interface. */
const STEP_MS = 200;
const SUBNET = "10.100.0.0/24";

describe("a foreign ipam.type", () => {
  const rig = useRig({ hosts: 2 });
  let host: Host;
  let before: Remains;
  let dataDir: string;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
    dataDir = mkdtempSync(join(rig.lab.dir, "host-local-"));
  });

  /** Addresses that host-local holds on a host. */
  const held = (dir = dataDir): string[] => {
    const network = join(dir, "weave");
    return existsSync(network) ? readdirSync(network).filter((name) => /^\d+\./.test(name)) : [];
  };
  const hostLocal = (more: JsonObject = {}): JsonObject => ({
    ipam: { type: "host-local", dataDir, subnet: SUBNET, routes: [{ dst: "0.0.0.0/0" }], ...more },
  });

  async function nothingIsLeft(): Promise<void> {
    expect(await remainsOf(host)).toEqual(before);
    expect(held()).toEqual([]);
  }

  it("host-local: ADD, CHECK and DEL; the addresses are endpoints and reach each other across hosts", async () => {
    const network = rig.network(hostLocal());
    const [one, two] = [await rig.attached(network), await rig.attached(network)];
    expect(held().sort()).toEqual([one.address, two.address].sort());
    expect(listOf(one.result, "ips")).toMatchObject([{ address: `${one.address}/24`, interface: 2 }]);
    expect(await one.pod.pings(two.address)).toBe(true);
    const far = rig.network(
      hostLocal({ dataDir: mkdtempSync(join(rig.lab.dir, "far-")), rangeStart: "10.100.0.100" }),
    );
    const other = await rig.attach(rig.lab.container(rig.lab.host(2), "far"), far);
    await eventually("the hosts know each other's", () => one.pod.pings(other.address));
    expect(await other.pod.pings(two.address)).toBe(true);
    for (const attached of [one, two]) await rig.cni.check(network, attached.attachment);
    await rig.detach(other);
    await rig.detach(one);
    expect(held()).toEqual([two.address]);
    await rig.detach(two);
    await rig.detach(two);
    await nothingIsLeft();
  });

  it.each([undefined, ...CNI_VERSIONS])("host-local at %s", async (cniVersion) => {
    const ipam = { subnet: undefined, ranges: [[{ subnet: SUBNET }]] };
    const network = rig.network({ cniVersion, ...hostLocal(cniVersion === undefined ? {} : ipam) });
    if (cniVersion === "1.1.0") {
      // Debian's stops at 1.0.0: its own words.
      expect(await failureOf(rig.attached(network))).toMatchObject({
        code: 1,
        msg: expect.stringContaining("host-local"),
      });
    } else {
      const attached = await rig.attached(network);
      RESULT_SCHEMAS[cniVersion ?? "0.1.0"].parse(rig.cni.runs.at(-1)?.json);
      expect(held()).toEqual([attached.address]);
      await rig.detach(attached);
    }
    await nothingIsLeft();
  });

  it("a delegate that hangs is ended with the call that waits for it, and told of the end", async () => {
    const log = join(rig.lab.dir, "hanging");
    const file = join(host.cniBinDir, "hanging-ipam");
    const script = `#!/bin/sh\necho "$CNI_COMMAND $$" >> ${log}\n[ "$CNI_COMMAND" = ADD ] && exec sleep 600\nexit 0\n`;
    writeFileSync(file, script, { mode: 0o755 });
    const lines = (): string[] =>
      existsSync(log) ? readFileSync(log, "utf8").split("\n").filter(Boolean) : [];
    const network = rig.network({ ipam: { type: "hanging-ipam" } });
    const pod = rig.pod();
    const killer = new AbortController();
    const adding = failureOf(rig.cni.add(network, attachmentOf(pod), killer.signal));
    const [, pid = ""] = await eventually("it hangs", () => lines()[0]?.split(" "));
    killer.abort();
    await adding;
    await eventually("it is ended", () => !existsSync(`/proc/${pid}`));
    await eventually("it is told", () => lines().some((line) => line.startsWith("DEL ")));
    await rig.cni.del(network, attachmentOf(pod));
    await expectEmpty(pod);
    await nothingIsLeft();
  });

  it("the gateway it names is the bridge's", async () => {
    const attached = await rig.attached(rig.network({ ...hostLocal(), isGateway: true }));
    const gateway = String(listOf(attached.result, "ips")[0]?.["gateway"]);
    expect(gateway).toBe("10.100.0.1");
    expect(await attached.pod.pings(gateway)).toBe(true);
    await rig.detach(attached);
    expect(held()).toEqual([]);
    await host.weaveOk("hide", `${gateway}/24`).catch(() => undefined);
    before = await remainsOf(host);
  });

  it("case 66: static, with an address of each family: both, also at 0.2.0", async () => {
    const addresses = [{ address: "10.101.0.5/24" }, { address: "fd00:101::5/64" }];
    for (const version of ["0.2.0", "0.4.0", "1.0.0"] as const) {
      const network = rig.network({ cniVersion: version, ipam: { type: "static", addresses } });
      const attached = await rig.attached(network);
      const printed = rig.cni.runs.at(-1)?.json ?? {};
      RESULT_SCHEMAS[version].parse(printed);
      if (version === "0.2.0")
        expect(printed).toMatchObject({ ip4: { ip: "10.101.0.5/24" }, ip6: { ip: "fd00:101::5/64" } });
      else
        expect(listOf(printed, "ips").map(({ address }) => address)).toEqual([
          "10.101.0.5/24",
          "fd00:101::5/64",
        ]);
      const [link] = await attached.pod.namespace.json("ip -j address show eth0 scope global");
      expect(link?.["addr_info"]).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ local: "10.101.0.5" }),
          expect.objectContaining({ local: "fd00:101::5" }),
        ]),
      );
      if (version !== "0.2.0") await rig.cni.check(network, attached.attachment);
      await rig.detach(attached);
      await nothingIsLeft();
    }
  });

  it("an address that another host's container has is refused, naming the holder", async () => {
    const far = mkdtempSync(join(rig.lab.dir, "alike-"));
    // host-local configured alike on two hosts: both give the same first address.
    const holder = await rig.attach(
      rig.lab.container(rig.lab.host(2), "holder"),
      rig.network(hostLocal({ dataDir: far })),
    );
    await host.until("it is known here", ({ endpoints }) =>
      endpoints.some(({ address }) => address === holder.address),
    );
    const pod = rig.pod();
    const alike = mkdtempSync(join(rig.lab.dir, "alike-"));
    const failure = await failureOf(rig.attach(pod, rig.network(hostLocal({ dataDir: alike }))));
    expectError(failure.run, 103, holder.address, "h2");
    await expectEmpty(pod);
    expect(held(alike)).toEqual([]);
    await nothingIsLeft();
    await rig.detach(holder);
    expect(held(far)).toEqual([]);
  });

  it("a failure of the delegate is ours, in its words", async () => {
    const ipam = {
      type: "host-local",
      dataDir,
      subnet: "10.100.9.0/30",
      rangeStart: "10.100.9.2",
      rangeEnd: "10.100.9.2",
    };
    const network = rig.network({ ipam });
    const only = await rig.attached(network);
    const failure = await failureOf(rig.attached(network));
    expect(failure.run.json).toMatchObject({ msg: expect.stringContaining("host-local") });
    expect(failure.msg).toContain("no IP addresses available");
    await rig.detach(only);
    await nothingIsLeft();
    expect((await failureOf(rig.attached(rig.network({ ipam: { type: "not-there" } })))).msg).toContain(
      "not-there",
    );
    expect((await failureOf(rig.attached(rig.network({ ipam: { type: "../evil" } })))).msg).toContain(
      "../evil",
    );
    await nothingIsLeft();
  });

  it("an ADD that fails after the delegate's ADD runs its DEL", async () => {
    const pod = rig.pod();
    await pod.namespace.run("ip link add eth0 type veth peer name other");
    expect((await failureOf(rig.attach(pod, rig.network(hostLocal())))).code).toBe(100);
    await nothingIsLeft();
  });

  it("DEL while the daemon is down frees the delegate's address when it is back", async () => {
    const attached = await rig.attached(rig.network(hostLocal()));
    await host.stop();
    await rig.detach(attached);
    await host.launch();
    await host.untilOk();
    await eventually("it is freed", () => held().length === 0);
    await nothingIsLeft();
  });

  it.each([1, 2, 3])(
    "the death of the daemon at step %i of an ADD leaves the delegate no address",
    async (step) => {
      const pod = rig.pod(`step${step}`);
      const slow = await slowNamespaceWork(host.pid(), STEP_MS);
      const adding = failureOf(rig.attach(pod, rig.network(hostLocal())));
      await delay((step + 0.5) * STEP_MS);
      await host.kill();
      await slow.stop();
      expect((await adding).code).toBe(11);
      if (step === 2) await rig.cni.del(rig.network(hostLocal()), attachmentOf(pod)); // or no DEL at all
      await host.launch();
      await eventually("it is freed", () => held().length === 0);
      await untilAsBefore(host, before, "all is freed");
      await expectEmpty(pod);
    },
  );

  it("reconciliation frees the delegate's address of a dead namespace", async () => {
    const attached = await rig.attached(rig.network(hostLocal()));
    attached.pod.namespace.remove();
    await host.stop();
    await host.launch();
    await eventually("it is freed", () => held().length === 0);
    await untilAsBefore(host, before, "all is freed");
    await nothingIsLeft();
  });

  it("DEL succeeds when the delegate's executable is gone", async () => {
    const script = `#!/bin/sh\n[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.102.0.9/24"}]}'\nexit 0\n`;
    const file = join(host.cniBinDir, "brief-ipam");
    writeFileSync(file, script, { mode: 0o755 });
    const attached = await rig.attached(rig.network({ ipam: { type: "brief-ipam" } }));
    expect(attached.address).toBe("10.102.0.9");
    rmSync(file);
    await rig.detach(attached);
    await nothingIsLeft();
  });

  it("every verb reaches the delegate with the caller's variables and the same configuration", async () => {
    const log = join(rig.lab.dir, "verbs");
    const script = [
      "#!/bin/sh",
      `{ echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS $CNI_ARGS $CNI_PATH"; cat; echo; } >> ${log}`,
      `[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.1.0","ips":[{"address":"10.102.0.9/24"}]}'`,
      "echo a word of the delegate >&2",
      "exit 0",
    ];
    writeFileSync(join(host.cniBinDir, "noting-ipam"), script.join("\n"), { mode: 0o755 });
    const config = { cniVersion: "1.1.0", own: [1, { a: null }], ipam: { type: "noting-ipam", x: "<&>" } };
    const network = rig.network(config);
    const pod = rig.pod();
    const attachment = attachmentOf(pod, "eth0", {
      args: [
        ["IgnoreUnknown", "1"],
        ["A", "b"],
      ],
    });
    await rig.cni.add(network, attachment);
    expect(rig.cni.runs.at(-1)?.stderr).toContain("a word of the delegate");
    await rig.cni.check(network, attachment);
    await rig.cni.status(network);
    await rig.libraryOf(host).gc(network, [attachment]);
    await rig.cni.del(network, attachment);
    const lines = readFileSync(log, "utf8").split("\n").filter(Boolean);
    const path = [host.cniBinDir, DEBIAN].join(":");
    const ours = `${pod.id} eth0 ${pod.namespace.path} IgnoreUnknown=1;A=b ${path}`;
    expect(lines.filter((_, index) => index % 2 === 0)).toEqual([
      `ADD ${ours}`,
      `CHECK ${ours}`,
      `STATUS     ${path}`,
      `GC     ${path}`,
      `DEL ${ours}`,
    ]);
    const sent = rig.cni.runs.filter(({ command }) => command === "ADD").at(-1)?.stdin ?? "";
    expect(JSON.parse(lines[1] ?? "")).toEqual(JSON.parse(sent));
    await nothingIsLeft();
  });

  it("without CNI_PATH it cannot be found: code 4", async () => {
    const answer = await callPlugin(host, {
      command: "ADD",
      env: { ...rig.pod().env(), CNI_PATH: undefined },
      config: { cniVersion: "1.0.0", ...hostLocal() },
    });
    expectError(answer, 4, "CNI_PATH");
  });
});
