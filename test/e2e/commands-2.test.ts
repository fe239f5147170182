// The everyday commands on two hosts: attach and detach of namespaces, hide, ps, report; Weave Net's tests 500 and 700 as far
// as they concern commands.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually, TestNamespace } from "../kernel/support/namespaces.ts";
import { parseExposition } from "../support/exposition.ts";
import { useLab } from "../support/lab.ts";

const HTTP_GET = new URL("../support/http-get.mjs", import.meta.url).pathname;

const lines = (text: string): string[] => text.trimEnd().split("\n").filter(Boolean);

describe("attach, detach, hide and ps", () => {
  const lab = useLab(2);
  const namespaces = [new TestNamespace("c1"), new TestNamespace("c2")];
  const [c1, c2] = namespaces as [TestNamespace, TestNamespace];
  afterAll(() => {
    for (const namespace of namespaces) namespace.remove();
  });

  beforeAll(async () => {
    await lab.launchAll();
    for (const host of lab.hosts) await host.weaveOk("prime", "--timeout", "20");
  });

  const pings = async (from: TestNamespace, to: string): Promise<boolean> =>
    from.run(`ping -c 1 -W 1 ${to}`).then(
      () => true,
      () => false,
    );
  const reaches = (from: TestNamespace, to: string): Promise<unknown> =>
    eventually(`a ping to ${to}`, () => pings(from, to));

  it("connect namespaces across hosts, with addresses of the range and others, and show them", async () => {
    const [h1, h2] = [lab.host(1), lab.host(2)];
    const [own] = lines(await h1.weaveOk("attach", c1.path));
    const theirs = lines(await h2.weaveOk("attach", "10.2.1.2/24", "net:default", c2.path));
    expect(own).toMatch(/^10\.\d+\.\d+\.\d+\/12$/);
    expect(theirs).toHaveLength(2);
    expect(await h1.weaveOk("attach", "10.2.1.1/24", c1.path)).toBe("10.2.1.1/24\n");
    expect(await h1.weaveOk("attach", "10.2.1.1/24", "net:default", c1.path)).toBe(`${own}\n10.2.1.1/24\n`);
    await reaches(c1, "10.2.1.2");
    await reaches(c2, (own ?? "").split("/")[0] ?? "");
    const shown = lines(await h1.weaveOk("ps"));
    expect(shown.map((line) => line.replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/, "MAC"))).toEqual([
      `${c1.name} MAC ${own}`,
      `${c1.name} MAC 10.2.1.1/24`,
    ]);
    expect(lines(await h2.weaveOk("report", "-f", ".holders[].addresses[]")).sort()).toEqual(
      [...theirs].sort(),
    );
  });

  it("an address that moves to another container is reached there at once", async () => {
    const host = lab.host(1);
    const third = new TestNamespace("c3");
    namespaces.push(third);
    await host.weaveOk("detach", "10.2.1.1/24", c1.path);
    await host.weaveOk("attach", "10.2.1.1/24", third.path);
    await reaches(c2, "10.2.1.1");
    await host.weaveOk("detach", "10.2.1.1/24", third.path);
    await host.weaveOk("attach", "10.2.1.1/24", c1.path);
    await reaches(c2, "10.2.1.1");
  });

  it("take off what is named and leave the rest", async () => {
    const host = lab.host(1);
    expect(await host.weaveOk("detach", "10.2.1.1/24", c1.path)).toBe("10.2.1.1/24\n");
    expect(await host.weaveOk("detach", "10.2.1.1/24", c1.path)).toBe("");
    expect(lines(await host.weaveOk("ps"))).toHaveLength(1);
    expect(await pings(c1, "10.2.1.2")).toBe(false);
  });

  it("refuse what no host can have, and change nothing", async () => {
    const host = lab.host(1);
    const before = await host.weaveOk("ps");
    for (const address of ["10.2.1.0/24", "10.2.1.255/24", "10.2.1.3/30", "10.2.1.1/31"]) {
      expect(await host.weave("attach", "10.2.2.2/24", address, c1.path)).toMatchObject({
        exit: 2,
        stdout: "",
      });
      expect(await host.weave("expose", address)).toMatchObject({ exit: 2, stdout: "" });
    }
    expect(await host.weave("attach", host.namespace.path)).toMatchObject({ exit: 1 });
    expect(await host.weave("attach", "/run/netns/none")).toMatchObject({ exit: 1 });
    expect(await host.weave("attach", "/etc/passwd")).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining("/etc/passwd is not a network namespace"),
    });
    expect(await host.weaveOk("ps")).toBe(before);
  });

  it("hide is the reverse of expose, and idempotent", async () => {
    const [h1, h2] = [lab.host(1), lab.host(2)];
    const address =
      (await h2.status()).endpoints.find((e) => e.local && e.address !== "10.2.1.2")?.address ?? "";
    const [exposed] = lines(await h1.weaveOk("expose"));
    await h1.weaveOk("expose", "10.2.1.9/24", "10.2.3.9/24");
    await reaches(h1.namespace, address);
    expect(lines(await h1.weaveOk("ps", "weave:expose"))[0]).toContain(` ${exposed}`);
    expect(await h1.weaveOk("hide", "10.2.1.9/24", "10.2.3.9/24")).toBe("10.2.1.9/24\n10.2.3.9/24\n");
    await reaches(h1.namespace, address);
    expect(await h1.weaveOk("hide")).toBe(`${exposed}\n`);
    expect(await h1.weaveOk("hide")).toBe("");
    expect(await pings(h1.namespace, address)).toBe(false);
    expect(await h1.namespace.json("ip -j -4 address show dev weave")).not.toMatchObject([
      { addr_info: [{}] },
    ]);
    await h2.until("it heard of that", ({ endpoints }) =>
      endpoints.every((e) => e.label !== "expose" || e.local),
    );
  });

  it("an attached namespace that vanishes frees its addresses", async () => {
    const host = lab.host(1);
    c1.remove();
    await host.kill();
    await host.launch("--resume"); // what a minute brings, at once
    await host.until("its address is free", ({ endpoints }) => endpoints.every(({ local }) => !local));
    expect(await host.weaveOk("ps")).toBe("");
  });

  it("/status, /report and /metrics are there, and a taken port is a warning", async () => {
    const host = lab.host(1);
    const get = (path: string): Promise<string> =>
      host.namespace.exec([process.execPath, HTTP_GET, `http://127.0.0.1:6782${path}`]);
    await eventually(
      "the same text in both places",
      async () => (await get("/status")) === (await host.weaveOk("status")),
    );
    expect(JSON.parse(await get("/report"))).toMatchObject({ nickname: "h1", targets: [] });
    const report = await host.client.report();
    expect(await host.weaveOk("report", "-f", "{{.version}} {{.nickname}}")).toBe(`${report.version} h1\n`);
    const families = parseExposition(await get("/metrics"));
    const value = (name: string): number | undefined => families.get(name)?.samples[0]?.value;
    expect(value("weave_max_ips")).toBe(2 ** 20);
    expect(value("weave_gossip_bytes_total")).toBeGreaterThan(100);
    expect(families.get("weave_connections")?.samples).toContainEqual({
      name: "weave_connections",
      labels: { state: "established", type: "vxlan", encryption: "" },
      value: 1,
    });
    await host.stop();
    const { stdout, stderr, exit } = await host.weave("launch", "--status-addr", "127.0.0.1:6783");
    expect({ stdout, exit }).toMatchObject({ exit: 0 });
    expect(stderr).toContain("no status and metrics: another process listens on 127.0.0.1:6783");
    await host.stop();
    await host.launch("--http-addr", "127.0.0.1:6784", "--status-addr", "");
    await expect(get("/status")).rejects.toThrow("ECONNREFUSED");
    const control = await host.namespace.exec([process.execPath, HTTP_GET, "http://127.0.0.1:6784/v1/ps"]);
    expect(JSON.parse(control)).toHaveProperty("holders");
  });

  it("--resume and peers contradict each other", async () => {
    const host = lab.host(1);
    expect(await host.weave("launch", "--resume", lab.host(2).address)).toMatchObject({
      exit: 2,
      stdout: "",
    });
  });
});

describe("without a ring", () => {
  const lab = useLab(1);
  const namespace = new TestNamespace("c1");
  afterAll(() => namespace.remove());

  it("detach and hide do not wait, prime does: Weave Net's test 510", async () => {
    const host = lab.host(1);
    await host.launch("--ipalloc-init", "consensus=3");
    const from = performance.now();
    expect(await host.weaveOk("detach", namespace.path)).toBe("");
    expect(await host.weaveOk("detach", "10.32.0.7/12", namespace.path)).toBe("");
    expect(await host.weaveOk("hide")).toBe("");
    expect(performance.now() - from).toBeLessThan(3_500); // an allocation would wait 4 s
    expect(await host.weave("prime", "--timeout", "1")).toMatchObject({ exit: 1, stdout: "" });
    const probe = 'fetch("http://127.0.0.1:6782/status").then(({ status }) => console.log(status))';
    expect(await host.namespace.exec([process.execPath, "-e", probe])).toBe("503\n");
  });
});
