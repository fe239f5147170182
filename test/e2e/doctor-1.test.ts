// `weave doctor` as an operator runs it: on a host in good order, on one that never saw weave, and on hosts where something
// real is wrong. What it says mends a finding is run, and then the finding is gone.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { type DoctorReport, doctorReport } from "../../cmd/weave/doctor/report.ts";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Host, Outcome } from "../support/host.ts";
import { useLab } from "../support/lab.ts";

const LOOPBACK = "/usr/lib/cni/loopback";
const WEAVE = new URL("../../dist/bin/weave", import.meta.url).pathname;
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

const lab = useLab(1);
let host: Host;

beforeAll(() => {
  host = lab.host(1);
  symlinkSync(LOOPBACK, join(host.cniBinDir, "loopback"));
});

function parse({ exit, stdout, stderr }: Outcome): DoctorReport {
  expect(stderr).toBe("");
  const report = doctorReport.parse(JSON.parse(stdout));
  expect(exit).toBe(report.ok ? 0 : 1);
  return report;
}

const doctor = async (...words: string[]): Promise<DoctorReport> =>
  parse(await host.weave("doctor", "--json", ...words));

/** Code and object of each finding. */
const told = ({ findings }: DoctorReport): string[] =>
  findings.map(({ code, object }) => `${code} ${object}`);

/** A shell in the namespace of the host; with `mounts` in one of its own for mounts, too. */
function shell(script: string, mounts = false): Promise<Outcome> {
  const words = [`--net=${host.namespace.path}`, ...(mounts ? ["unshare", "-m"] : []), "sh", "-c", script];
  const env = {
    PATH: `${join(WEAVE, "..")}:${PATH}`,
    WEAVE_RUN_DIR: host.runDir,
    WEAVE_DATA_DIR: host.dataDir,
  };
  return new Promise((resolve) => {
    execFile("nsenter", words, { cwd: "/", env, timeout: 60_000 }, (error, stdout, stderr) => {
      const exit = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ exit, stdout, stderr });
    });
  });
}

/** Do what the findings of these codes say. */
async function mend(report: DoctorReport, ...codes: string[]): Promise<void> {
  for (const { command } of report.findings.filter(({ code }) => codes.includes(code)))
    expect(await shell(command), command).toMatchObject({ exit: 0 });
}

/** Everything doctor could have changed of the kernel, without what changes by itself. */
const kernelState = async (): Promise<string> => {
  const { stdout } = await shell(
    "nft list ruleset; ip -d link; ip address; ip route; sysctl -ar '^net' 2>&1",
  );
  return stdout.replace(/\b(packets \d+ bytes \d+|tentative )|(_lft|nf_conntrack_count) .*/g, "");
};

/** A process that goes by this name, in the namespace of the host. `comm` is the name as the kernel keeps it. */
async function inNamespaceAs(name: string, comm: string): Promise<ChildProcess> {
  const program = join(lab.dir, name);
  copyFileSync("/bin/sleep", program);
  chmodSync(program, 0o755);
  const child = spawn("nsenter", [`--net=${host.namespace.path}`, program, "600"], { stdio: "ignore" });
  const runs = (): boolean => readFileSync(`/proc/${child.pid}/comm`, "utf8").trim() === comm;
  await eventually(`${name} runs`, runs);
  return child;
}

describe("a host that never launched weave", () => {
  afterEach(async () => {
    await shell("nft flush ruleset; iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F");
  });

  it("is in good order, and it is said that weave never ran", async () => {
    const report = await doctor();
    expect(told(report)).toEqual([]);
    expect(report.notes.map(({ code }) => code)).toEqual(["not-launched"]);
    expect(report.checks.every(({ state }) => state === "ok")).toBe(true);
    const { exit, stdout } = await host.weave("doctor");
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^OK: nothing is wrong on this host\n/);
  });

  it("drops what is forwarded, in every kind of firewall; nothing is changed by looking", async () => {
    for (const words of [
      "iptables-nft -P FORWARD DROP",
      "ip6tables-nft -P FORWARD DROP",
      "iptables-legacy -P FORWARD DROP",
    ])
      await host.namespace.run(words);
    const chain = "chain through { type filter hook forward priority 5; policy drop; } ;";
    expect(await shell(`nft 'table inet mine { ${chain} }'`)).toMatchObject({ exit: 0 });
    const before = await kernelState();
    const report = await doctor();
    expect(await kernelState()).toBe(before);
    expect(told(report)).toEqual([
      "forward-drops iptables (nf_tables)",
      "forward-drops ip6tables (nf_tables)",
      "forward-drops iptables-legacy",
      "forward-drops inet mine through",
    ]);
    const { stdout } = await host.weave("doctor");
    expect(stdout).toMatch(/^PROBLEM: 4 things to mend on this host\n/);
    expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([]);
    await mend(report, "forward-drops");
    expect(told(await doctor())).toEqual([]);
  });

  it("has its ports taken", async () => {
    const script = `require("net").createServer().listen(6783, () =>
      require("dgram").createSocket("udp4").bind(6784, () => console.log("ready")))`;
    const child = spawn("nsenter", [`--net=${host.namespace.path}`, process.execPath, "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await new Promise((resolve) => child.stdout.once("data", resolve));
      const report = await doctor();
      expect(told(report)).toEqual(["port-taken TCP 6783", "port-taken UDP 6784"]);
      expect(report.findings[0]).toMatchObject({ command: `kill ${child.pid}` });
      const closed = new Promise((resolve) => child.once("close", resolve));
      await shell(report.findings[0]?.command ?? "");
      await closed;
    } finally {
      child.kill("SIGKILL");
    }
    await host.namespace.run("ip link add other type vxlan id 9 dstport 6784 local 127.0.0.1");
    await host.namespace.run("ip link set other up");
    const report = await doctor();
    expect(told(report)).toEqual(["port-taken UDP 6784"]);
    await mend(report, "port-taken");
    expect(told(await doctor())).toEqual([]);
  });

  it("has a link with the name of the bridge", async () => {
    await host.namespace.run("ip link add weave type veth peer name peer0");
    const report = await doctor();
    expect(told(report)).toEqual(["link-taken weave"]);
    await mend(report, "link-taken");
    expect(told(await doctor())).toEqual([]);
  });

  it("has a route into the range; another range is free", async () => {
    await host.namespace.run("ip route add 10.40.0.0/16 dev lo");
    try {
      const report = await doctor();
      expect(told(report)).toEqual(["range-overlap 10.40.0.0/16"]);
      const proposed = report.findings[0]?.command.split(" ").at(-1) ?? "";
      expect(told(await doctor("--ipalloc-range", proposed))).toEqual([]);
    } finally {
      await host.namespace.run("ip route del 10.40.0.0/16 dev lo");
    }
  });

  it("goes on when one of its tools hangs", async () => {
    const bin = join(lab.dir, "hangs");
    mkdirSync(bin);
    writeFileSync(join(bin, "nft"), "#!/bin/sh\nexec sleep 600\n");
    chmodSync(join(bin, "nft"), 0o755);
    await host.namespace.run("iptables-legacy -P FORWARD DROP");
    const startedAt = performance.now();
    const report = parse(await host.weaveWith({ PATH: `${bin}:${PATH}` }, "doctor", "--json"));
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(told(report)).toEqual(["nft-refuses table inet weave", "forward-drops iptables-legacy"]);
  });
});

describe("what runtimes read", () => {
  it("is another network's file, which sorts first", async () => {
    writeFileSync(
      join(host.cniConfDir, "05-other.conf"),
      '{"cniVersion":"0.4.0","name":"other","type":"loopback"}',
    );
    const report = await doctor();
    expect(told(report)).toEqual([`hidden ${join(host.cniConfDir, "05-other.conf")}`]);
    await mend(report, "hidden");
    expect(told(await doctor())).toEqual([]);
    expect(readdirSync(host.cniConfDir)).toContain("05-other.conf.off");
    rmSync(join(host.cniConfDir, "05-other.conf.off"));
  });

  it("lacks loopback, where Debian's is not there either", async () => {
    rmSync(join(host.cniBinDir, "loopback"));
    const report = parse(await shell("mount -t tmpfs tmpfs /usr/lib/cni && weave doctor --json", true));
    expect(told(report)).toEqual(["plugin-missing loopback"]);
    symlinkSync(LOOPBACK, join(host.cniBinDir, "loopback"));
  });
});

describe("other software of the host", () => {
  it("means to manage our links, or gives pods other addresses", async () => {
    const networkd = await inNamespaceAs("systemd-networkd", "systemd-network");
    try {
      const etc = join(lab.dir, "etc");
      const script = `mkdir -p ${etc}/up ${etc}/work
        mount -t tmpfs tmpfs ${etc} && mkdir ${etc}/up ${etc}/work
        mount -t overlay overlay -o lowerdir=/etc,upperdir=${etc}/up,workdir=${etc}/work /etc || exit 99
        mkdir -p /etc/systemd/network /etc/kubernetes/manifests
        printf '[Match]\\nName=*\\n[Network]\\nDHCP=yes\\n' > /etc/systemd/network/50-all.network
        printf '    - --cluster-cidr=10.244.0.0/16\\n' > /etc/kubernetes/manifests/kube-controller-manager.yaml
        printf 'nameserver 10.36.0.2\\n' > /etc/own && mount --bind /etc/own $(readlink -f /etc/resolv.conf)
        weave doctor --json
        printf '[Match]\\nName=weave vxlan-6784 vw* vi*\\n[Link]\\nUnmanaged=yes\\n' > /etc/systemd/network/00-weave.network
        weave doctor --json --ipalloc-range 10.244.0.0/16 > ${etc}/second; cat ${etc}/second >&2`;
      const { stdout, stderr } = await shell(script, true);
      expect(told(doctorReport.parse(JSON.parse(stdout)))).toEqual([
        "nameserver-in-range 10.36.0.2",
        "managed-link weave, vxlan-6784, vw*, vi*",
        "cluster-cidr /etc/kubernetes/manifests/kube-controller-manager.yaml",
      ]);
      expect(told(doctorReport.parse(JSON.parse(stderr)))).toEqual([]);
    } finally {
      networkd.kill("SIGKILL");
    }
  });
});

describe("with a daemon", () => {
  it("is in good order while it runs", async () => {
    await host.launch();
    await host.weaveOk("expose");
    await lab.attached(host);
    const report = await doctor();
    expect(told(report)).toEqual([]);
    expect(report.notes).toEqual([]);
    expect(report.checks.find(({ name }) => name === "ports")?.saw).toMatch(/: weaver's$/);
    const { exit, stdout } = await host.weave("doctor");
    expect(exit).toBe(0);
    expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([]);
  });

  it("whose links NetworkManager took, on a host whose firewalld lets nobody in", async () => {
    const bin = join(lab.dir, "tools");
    mkdirSync(bin);
    const put = (name: string, script: string): void => {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(bin, name), 0o755);
    };
    put(
      "nmcli",
      "printf 'wan:connected\\nvxlan-6784:connecting (getting IP configuration)\\nweave:unmanaged\\n'",
    );
    put(
      "firewall-cmd",
      `case "$*" in
        --state) echo running ;;
        --get-zone-of-interface=wan) echo outside ;;
        "--zone=outside --list-all") printf 'outside (active)\\n  target: default\\n  ports: 6783/tcp\\n' ;;
        *) exit 2 ;;
      esac`,
    );
    const manager = await inNamespaceAs("NetworkManager", "NetworkManager");
    try {
      const report = parse(await host.weaveWith({ PATH: `${bin}:${PATH}` }, "doctor", "--json"));
      expect(told(report)).toEqual(["firewalld-ports outside", "managed-link vxlan-6784"]);
      expect(report.findings[0]?.command).toMatch(/ --zone=outside --add-port=6784\/udp /);
    } finally {
      manager.kill("SIGKILL");
    }
    // What runs in another namespace manages other links.
    expect(told(parse(await host.weaveWith({ PATH: `${bin}:${PATH}` }, "doctor", "--json")))).toEqual([
      "firewalld-ports outside",
    ]);
  });

  it("that has stopped: what it would put back is told, and mended by hand or by a launch", async () => {
    await host.stop();
    await host.namespace.run("sysctl -qw net.ipv4.ip_forward=0");
    await host.namespace.run("sysctl -qw net.ipv4.conf.weave.rp_filter=1");
    const report = await doctor();
    expect(told(report)).toEqual([
      `not-running ${host.runDir}`,
      "sysctl net.ipv4.conf.weave.rp_filter",
      "sysctl net.ipv4.ip_forward",
    ]);
    expect(report.checks.find(({ name }) => name === "range")?.saw).toMatch(
      /^10.32.0.0\/12 \(firewall table\)/,
    );
    await mend(report, "sysctl");
    expect(told(await doctor())).toEqual([`not-running ${host.runDir}`]);
    await mend(report, "not-running");
    expect(told(await doctor())).toEqual([]);
  });

  it("that left an MTU the underlay does not carry any more", async () => {
    await host.stop();
    await host.namespace.run("ip link set wan mtu 1400");
    const report = await doctor();
    expect(told(report)).toEqual([`not-running ${host.runDir}`, "mtu-too-large wan"]);
    await mend(report, "not-running");
    expect(told(await doctor())).toEqual([]);
    expect(existsSync(join(host.runDir, "weave.sock"))).toBe(true);
  });
});
