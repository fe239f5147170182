// The numbers of a limit, and the name of the device that carries it.
import { expect, test } from "vitest";
import type { AttachSpec } from "../ports/kernel.ts";
import { kernelError } from "./rtnetlink/errors.ts";
import type { NetlinkPort } from "./rtnetlink/socket.ts";
import { hostEndOf, ifbName, probeShaping, tokenBucket } from "./shaping.ts";

const MTU = 1450;

test.each<[string, { rate: number; burst: number }, ReturnType<typeof tokenBucket>]>([
  ["bits become bytes, 25 ms wait", { rate: 8e6, burst: 8e5 }, { rate: 1e6, burst: 1e5, limit: 125_000 }],
  ["a burst below a frame is a frame", { rate: 8e6, burst: 1 }, { rate: 1e6, burst: 1468, limit: 26_468 }],
  ["a rate below a byte is a byte", { rate: 1, burst: 8e5 }, { rate: 1, burst: 1e5, limit: 1e5 }],
  [
    "the burst a runtime sends for want of one",
    { rate: 8e6, burst: 2 ** 32 - 1 },
    { rate: 1e6, burst: 2 ** 29 - 1, limit: 2 ** 29 - 1 + 25_000 },
  ],
  [
    "what 32 bits do not hold",
    { rate: 8e13, burst: 8 * 2 ** 33 },
    { rate: 1e13, burst: 2 ** 32 - 1, limit: 2 ** 32 - 1 },
  ],
])("%s", (_, limit, expected) => {
  expect(tokenBucket(limit, MTU)).toEqual(expected);
});

test("host end and ifb have one name in two spellings", () => {
  expect(ifbName("vw0123456789ab")).toBe("vi0123456789ab");
  expect(hostEndOf("vi0123456789ab")).toBe("vw0123456789ab");
  for (const other of ["vw0123", "vethwe1", "vi0123456789ab", "weave", "vw0123456789AB"])
    expect(ifbName(other)).toBeUndefined();
  for (const other of ["vi0123", "virbr0", "vw0123456789ab"]) expect(hostEndOf(other)).toBeUndefined();
});

/** A kernel that refuses every probe, each operation with its errno. */
function kernelThatSays(errnos: Readonly<Record<string, string>>): NetlinkPort {
  return {
    request: (subject) => Promise.reject(kernelError(subject, errnos[subject.operation] ?? "EPROTO")),
    dump: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

test.each<[string, Record<string, string>, string | undefined]>([
  ["has all", { "qdisc add": "EINVAL", "link probe": "EADDRNOTAVAIL" }, undefined],
  ["has no token buckets", { "qdisc add": "ENOENT", "link probe": "EADDRNOTAVAIL" }, "CONFIG_NET_SCH_TBF"],
  ["has no ifb", { "qdisc add": "EINVAL", "link probe": "ENOTSUP" }, "CONFIG_IFB"],
])("a kernel that %s", async (_, errnos, option) => {
  const limit = { rate: 1e6, burst: 1e6 };
  const spec: AttachSpec = {
    netns: { fd: 0, id: "" },
    ifname: "eth0",
    hostIfname: "vw0123456789ab",
    bridge: "weave",
    mac: "02:a0:0a:20:00:05",
    mtu: MTU,
    addresses: [],
    routes: [],
    hairpin: true,
    bandwidth: { egress: limit },
  };
  const probe = probeShaping(kernelThatSays(errnos), spec);
  if (option === undefined) await expect(probe).resolves.toBeUndefined();
  else
    await expect(probe).rejects.toMatchObject({
      code: "feature-missing",
      hint: expect.stringContaining(option),
    });
  // What is only received needs no ifb.
  const receiving = probeShaping(kernelThatSays(errnos), { ...spec, bandwidth: { ingress: limit } });
  if (option === "CONFIG_NET_SCH_TBF")
    await expect(receiving).rejects.toMatchObject({ code: "feature-missing" });
  else await expect(receiving).resolves.toBeUndefined();
});
