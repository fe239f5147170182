// What `weave status` and `weave report` say of two hosts, one of which has a wish nobody can fulfil: Weave Net's test 700.
import { beforeAll, describe, expect, it } from "vitest";
import { useLab } from "../support/lab.ts";

const squeezed = (text: string): string[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/ +/g, " ").trim());

describe("status and report of two hosts", () => {
  const lab = useLab(2);

  beforeAll(async () => {
    await lab.launchAll();
    await lab.host(2).weaveOk("expose");
    const container = await lab.attached(lab.host(2));
    await lab.untilKnown([container]);
  });

  it("the summary has a line for each thing there is", async () => {
    const [verdict, blank, ...lines] = (await lab.host(1).weaveOk("status")).split("\n");
    expect([verdict, blank]).toEqual(["OK", ""]);
    const labels = lines.map((line) => line.slice(0, 13).trim()).filter((label) => label !== "");
    expect(labels).toEqual(
      expect.arrayContaining([
        ...["version", "peer", "password", "cluster", "decisions", "connections", "peers"],
        ...["range", "datapath", "paths", "exposed", "endpoints"],
      ]),
    );
    expect(labels.join()).not.toMatch(/problem|repaired|set aside/);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
    const text = squeezed(lines.join("\n")).join("\n");
    expect(text).toMatch(/^version \d+\.\d+\.\d+\S*, process \d+, since 20\S+Z$/m);
    expect(text).toContain("connections 1 established of 1");
    expect(text).toContain("peers 2");
    expect(text).toContain("endpoints 2, 0 of them on this host");
    expect(text).toMatch(/^range 10\.32\.0\.0\/12: this host uses 0 of its \d+ addresses/m);
  });

  it("the sections tell of both hosts, and a wrong one is refused with those there are", async () => {
    const host = lab.host(1);
    const section = async (name: string): Promise<string> =>
      squeezed(await host.weaveOk("status", name)).join("\n");
    expect(await section("connections")).toMatch(/^<- \S+ established \S+\(h2\)/m);
    expect(await section("targets")).toContain("none");
    expect(await section("peers")).toMatch(/\(h1\)[\s\S]*\(h2\)/);
    expect(await section("ipam")).toMatch(/^range 10\.32\.0\.0\/12: 1048576 addresses, ready$/m);
    expect(await section("endpoints")).toMatch(/h2/);
    const wrong = await host.weave("status", "dns");
    expect([wrong.exit, wrong.stdout]).toEqual([2, ""]);
    expect(wrong.stderr).toContain("connections, targets, peers, ipam, endpoints, cni");
  });

  it("the report is the status and more, as JSON or in a format", async () => {
    const host = lab.host(2);
    const report = JSON.parse(await host.weaveOk("report"));
    const status = JSON.parse(await host.weaveOk("status", "--json"));
    for (const key of Object.keys(status)) expect(report).toHaveProperty(key);
    expect(report.targets).toMatchObject([{ address: lab.host(1).address, state: "established" }]);
    expect(report.holders.map(({ ident }: { ident: string }) => ident)).toContain("weave:expose");
    expect(report.process).toMatchObject({ node: process.version });
    const picked = await host.weaveOk(
      "report",
      "-f",
      "{{.nickname}} {{.ipam.0.range}} {{.peers[].nickname}}",
    );
    expect(picked).toBe("h2 10.32.0.0/12 h2 h1\n");
    expect(await host.weaveOk("report", "-f", ".connections[].state")).toBe("established\n");
    for (const format of ["nickname", "{{.nickname", ".no.such", ".peers[99]"]) {
      const refused = await host.weave("report", "-f", format);
      expect([refused.exit, refused.stdout], format).toEqual([2, ""]);
      expect(refused.stderr, format).toContain("--format");
    }
  });

  it("without a daemon both say so, and what to do", async () => {
    const host = lab.host(1);
    await host.stop();
    const status = await host.weave("status");
    expect(status).toMatchObject({
      exit: 1,
      stdout: expect.stringMatching(/^PROBLEM: not-running \S+ since /),
    });
    expect(status.stdout).toContain("weave launch");
    expect(JSON.parse((await host.weave("status", "--json")).stdout)).toMatchObject({ ok: false });
    for (const verb of ["report", "ps", "prime", "hide"])
      expect(await host.weave(verb), verb).toMatchObject({
        exit: 1,
        stdout: "",
        stderr: expect.stringContaining("weave launch"),
      });
    await lab
      .host(2)
      .until("h1 is missed", ({ problems }) => problems.some(({ code }) => code === "peer-unreachable"));
    expect(await lab.host(2).weave("status", "peers")).toMatchObject({ exit: 1 });
  });
});
