import { describe, expect, it } from "vitest";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { judgeFirewalld } from "./firewalld.ts";
import { judgeForwarding } from "./forwarding.ts";

const facts = { accepts: [], drops: [], port: 6783 };
const accept = { where: "iptables (nf_tables)", standing: "missing", commands: ["a", "b"] } as const;
const chain: Part<"drops">[number] = {
  ...{ family: "inet", table: "filter", chain: "forward" },
  ...{ hook: "forward", namesBridge: false },
};

describe("firewalls of others", () => {
  it("drop nothing", () => {
    expect(judgeForwarding(facts)).toEqual({
      findings: [],
      notes: [],
      saw: "no firewall drops what is forwarded",
    });
  });

  it("drop, and lack the accept or have it", () => {
    const told = (standing: "missing" | "there" | "none"): string[] =>
      judgeForwarding({
        ...facts,
        accepts: [{ ...accept, standing, commands: [...accept.commands] }],
      }).findings.map(({ object, command }) => `${object}: ${command}`);
    expect(told("missing")).toEqual(["iptables (nf_tables): a && b"]);
    expect(told("there")).toEqual([]);
    expect(told("none")).toEqual([]);
  });

  it("in tables nobody else looks after", () => {
    expect(judgeForwarding({ ...facts, drops: [chain] }).findings).toMatchObject([
      { code: "forward-drops", object: "inet filter forward" },
    ]);
    expect(judgeForwarding({ ...facts, drops: [{ ...chain, namesBridge: true }] }).findings).toEqual([]);
    const iptables = { ...chain, family: "ip", chain: "FORWARD" };
    expect(judgeForwarding({ ...facts, drops: [iptables] }).findings).toEqual([]);
  });

  it("that drop what comes in are a note", () => {
    const { findings, notes } = judgeForwarding({ ...facts, drops: [{ ...chain, hook: "input" }] });
    expect(findings).toEqual([]);
    expect(notes).toMatchObject([{ code: "input-drops" }]);
  });
});

describe("firewalld", () => {
  const zone = (text: string) => ({ port: 6783, zone: { name: "public", interface: "eth0", text } });

  it.each([
    ["  target: default\n  ports: \n", ["--add-port=6783/tcp --add-port=6784/udp"]],
    ["  target: default\n  ports: 6783/tcp\n", ["--add-port=6784/udp"]],
    ["  target: default\n  ports: 80/tcp 6783/tcp 6784/udp\n", []],
    ["  target: default\n  ports: 6000-7000/tcp 6784/udp\n", []],
    [
      '  target: default\n  ports: 6784/udp\n  rich rules: \n\trule family="ipv4" port port="6783" protocol="tcp" accept\n',
      [],
    ],
    ["  target: ACCEPT\n  ports: \n", []],
  ])("with %j", (text, added) => {
    const commands = judgeFirewalld(zone(text)).findings.map(({ command }) => command);
    expect(commands).toEqual(
      added.map((ports) => `firewall-cmd --permanent --zone=public ${ports} && firewall-cmd --reload`),
    );
  });

  it("that does not run", () => {
    expect(judgeFirewalld({ port: 6783 })).toEqual({ findings: [], saw: "does not run" });
  });
});
