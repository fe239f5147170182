import { expect, test } from "vitest";
import { hostIfname } from "./host-ifname.ts";
import { HOST_IFNAME_VECTORS } from "./testing/host-ifname-vectors.ts";

test.each(HOST_IFNAME_VECTORS)("%s %s %s is %s", (network, containerId, ifname, name) => {
  expect(hostIfname({ network, containerId, ifname })).toBe(name);
});

test("the name fits IFNAMSIZ", () => {
  expect(
    hostIfname({ network: "n".repeat(300), containerId: "c".repeat(300), ifname: "i".repeat(15) }),
  ).toHaveLength(14);
});
