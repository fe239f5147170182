import { expect, it } from "vitest";
import { judgeRange, nameserversIn, type RangeFacts } from "./range.ts";

const facts: RangeFacts = {
  range: { cidrs: ["10.32.0.0/12"], from: "default" },
  routes: [
    { dst: "192.0.2.0/24", dev: "eth0" },
    { dst: "10.32.0.0/12", dev: "weave" },
  ],
  nameservers: ["192.0.2.53"],
};

it("is free: the bridge's own route and the default route do not count", () => {
  const routes = [...facts.routes, { dst: "0.0.0.0/0", dev: "eth0" }];
  const { findings, saw } = judgeRange({ ...facts, routes });
  expect(findings).toEqual([]);
  expect(saw).toBe("10.32.0.0/12 (default), 1 route of this host");
});

it.each(["10.40.0.0/16", "10.0.0.0/8"])("overlaps %s, and another one is proposed", (dst) => {
  const { findings } = judgeRange({ ...facts, routes: [{ dst, dev: "tun0" }] });
  expect(findings).toMatchObject([{ code: "range-overlap", object: dst }]);
  const command = dst.endsWith("/8") ? "172.20.0.0/14" : "10.16.0.0/12";
  expect(findings[0]?.command).toBe(`weave launch --ipalloc-range ${command}`);
});

it("in use is changed by a stop and a launch", () => {
  const range = { cidrs: ["10.32.0.0/12"], from: "weaver" } as const;
  const { findings } = judgeRange({ ...facts, range, routes: [{ dst: "10.33.0.0/24", dev: "br0" }] });
  expect(findings[0]?.command).toMatch(/^weave stop; weave launch --ipalloc-range /);
});

it("in use within a larger route was chosen so: a note", () => {
  const range = { cidrs: ["10.32.0.0/12"], from: "weaver" } as const;
  const { findings, notes } = judgeRange({ ...facts, range, routes: [{ dst: "10.0.0.0/8", dev: "eth0" }] });
  expect(findings).toEqual([]);
  expect(notes).toMatchObject([{ code: "range-overlap", object: "10.0.0.0/8" }]);
});

it("has the nameserver in it", () => {
  expect(judgeRange({ ...facts, nameservers: ["10.36.0.2"] }).findings).toMatchObject([
    { code: "nameserver-in-range", object: "10.36.0.2" },
  ]);
  expect(judgeRange({ ...facts, nameservers: ["10.31.0.2", "fd00::1", "junk"] }).findings).toEqual([]);
});

it("nameservers of resolv.conf", () => {
  expect(nameserversIn("# nameserver 1.1.1.1\nsearch x\nnameserver 10.0.0.2\n nameserver fd00::1\n")).toEqual(
    ["10.0.0.2", "fd00::1"],
  );
});
