// Echoes on the real kernel: of an exact size, never in fragments whatever path MTU is known, answered or not as the link
// carries them. Through the socket of libc calls; npm raw-socket's lives in the daemon's own namespace, and is seen at work
// in test/e2e/paths-2.test.ts.
//
//     left (va) ──────── veth, MTU 1500 ──────── right (vb)
import { closeSync, openSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createEchoes } from "../../src/kernel/echo/echoes.ts";
import { openLibcSocket } from "../../src/kernel/echo/libc-socket.ts";
import { MIN_ECHO_BYTES } from "../../src/kernel/echo/packet.ts";
import type { IcmpSocket, OpenSocket } from "../../src/kernel/echo/socket.ts";
import { inNetns, warmThreadPool } from "../../src/kernel/netns.ts";
import type { Echoes } from "../../src/ports/echo.ts";
import { eventually, TestNamespace } from "./support/namespaces.ts";

const RIGHT = { 4: "192.0.2.2", 6: "fe80::2" } as const;

describe("echoes", () => {
  const [left, right] = [new TestNamespace("left"), new TestNamespace("right")];
  const answers = new Map<number, number>();
  const refusals = new Map<number, string>();
  let fd = -1;
  let echoes: Echoes;
  let lastId = 0;

  /** As in a daemon that lives in `left`. */
  const openInLeft: OpenSocket = async (family, listener) => {
    let opening: Promise<IcmpSocket> | undefined;
    inNetns(fd, () => {
      opening = openLibcSocket(family, listener);
    });
    if (opening === undefined) throw new Error("not opened");
    const socket = await opening;
    return { send: (...args) => inNetns(fd, () => socket.send(...args)), close: () => socket.close() };
  };
  const send = (address: string, bytes: number): number => {
    echoes.send({ id: ++lastId, address, bytes });
    return lastId;
  };
  /** Whether it is answered; what follows it is, so the wait for one that is not is short. */
  const isAnswered = async (address: string, bytes: number): Promise<boolean> => {
    const id = send(address, bytes);
    const next = send(address, MIN_ECHO_BYTES);
    await eventually("a small echo is answered", () => answers.has(next));
    return answers.has(id);
  };

  beforeAll(async () => {
    await warmThreadPool();
    await left.run(`ip link add va type veth peer name vb netns ${right.name}`);
    for (const [ns, name, number] of [
      [left, "va", 1],
      [right, "vb", 2],
    ] as const) {
      await ns.run(`ip link set ${name} addrgenmode none`);
      await ns.run(`ip address add 192.0.2.${number}/24 dev ${name}`);
      await ns.run(`ip link set ${name} up`);
      await ns.run(`ip -6 address add fe80::${number}/64 dev ${name} nodad`);
    }
    fd = openSync(left.path, "r");
    echoes = createEchoes(
      "va",
      { answered: (id, rttMs) => answers.set(id, rttMs), refused: (id, why) => refusals.set(id, why) },
      openInLeft,
    );
  });
  afterEach(() => right.succeeds("nft flush ruleset"));
  afterAll(async () => {
    await echoes.close();
    closeSync(fd);
    left.remove();
    right.remove();
  });

  it.each([4, 6] as const)(
    "of IPv%i fill the link and not more, and tell their round trip",
    async (family) => {
      expect(await isAnswered(RIGHT[family], 1500)).toBe(true);
      expect(answers.get(lastId)).toBeGreaterThan(0);
      expect(answers.get(lastId)).toBeLessThan(1_000);
      const large = send(RIGHT[family], 1501);
      await eventually("one that is too large is refused", () => refusals.get(large)?.includes("EMSGSIZE"));
    },
  );

  it.each([4, 6] as const)("of IPv%i are lost where large packets are", async (family) => {
    expect(await isAnswered(RIGHT[family], 1401)).toBe(true);
    await right.run("nft add table netdev fault");
    await right.exec([
      ..."nft add chain netdev fault in".split(" "),
      "{ type filter hook ingress device vb priority 0 ; }",
    ]);
    await right.run("nft add rule netdev fault in meta length > 1400 drop");
    expect(await isAnswered(RIGHT[family], 1401)).toBe(false);
    expect(await isAnswered(RIGHT[family], 1400)).toBe(true);
  });

  it("do not come in fragments where a smaller path MTU is known, or all would seem well", async () => {
    await left.run("ip route add 192.0.2.2 dev va mtu 1300");
    await left.run("ip -6 route add fe80::2 dev va mtu 1300");
    await right.run("nft add table inet whole");
    await right.exec([
      ..."nft add chain inet whole in".split(" "),
      "{ type filter hook prerouting priority -450 ; }",
    ]);
    await right.run("nft add rule inet whole in ip frag-off & 0x3fff != 0 drop");
    await right.run("nft add rule inet whole in exthdr frag exists drop");
    for (const family of [4, 6] as const) expect(await isAnswered(RIGHT[family], 1500)).toBe(true);
  });

  it("are told of as refused where there is no way", async () => {
    const id = send("203.0.113.1", 100);
    await eventually("it is refused", () => refusals.get(id)?.includes("ENETUNREACH"));
  });

  it("closing ends it: nothing is told, and no descriptor is left", async () => {
    const told: unknown[] = [];
    const other = createEchoes(
      "va",
      { answered: () => told.push(1), refused: () => told.push(2) },
      openInLeft,
    );
    other.send({ id: 1, address: RIGHT[6], bytes: 200 });
    await other.close();
    other.send({ id: 2, address: RIGHT[6], bytes: 200 });
    expect(told).toEqual([]);
  });
});
