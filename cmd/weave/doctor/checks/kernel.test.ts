import { expect, it } from "vitest";
import { judgeKernel } from "./kernel.ts";

const facts = { release: "6.1.0-18-amd64", missing: [], refusal: undefined };
const nft = { what: "nft", brings: "apt-get install nftables" };

it("has everything", () => {
  expect(judgeKernel(facts)).toEqual({ findings: [], saw: "Linux 6.1.0-18-amd64, all features and tools" });
});

it.each([
  [nft, "apt-get install nftables"],
  [{ what: "links of kind vxlan", brings: "kernel option CONFIG_VXLAN (modprobe vxlan)" }, "modprobe vxlan"],
  [
    { what: "the right to configure networks", brings: "root (CAP_NET_ADMIN and CAP_SYS_ADMIN)" },
    "sudo weave doctor",
  ],
  [{ what: "IPv6", brings: "a boot without ipv6.disable=1" }, expect.stringMatching(/update-grub/)],
])("lacks %o", (lack, command) => {
  expect(judgeKernel({ ...facts, missing: [lack] }).findings).toMatchObject([
    { code: "feature-missing", object: lack.what, command },
  ]);
});

it.each([
  ["4.14.300", ["kernel-old"]],
  ["3.10.0-1160.el7.x86_64", ["kernel-old"]],
  ["4.15.0-20-generic", []],
  ["5.4.0", []],
  ["strange", []],
])("Linux %s", (release, codes) => {
  expect(judgeKernel({ ...facts, release }).findings.map(({ code }) => code)).toEqual(codes);
});

it("tells a refusal of nft, but not when something it needs is missing", () => {
  const refusal = "Error: Could not process rule: No such file or directory";
  expect(judgeKernel({ ...facts, refusal }).findings).toMatchObject([{ code: "nft-refuses" }]);
  expect(judgeKernel({ ...facts, refusal, missing: [nft] }).findings).toHaveLength(1);
});
