// Every encoder against bytes written down by hand from the kernel's headers, every decoder against what it must read.
// Little-endian, as on every machine npm netlink has a prebuilt binary for.
import { describe, expect, test } from "vitest";
import { parseCidr } from "../../core/address/cidr.ts";
import { decodeAddress, encodeAddress } from "./address.ts";
import { attribute, nest, parseAttributes, text, u8, u16be, u32, walkAttributes } from "./attributes.ts";
import { decodeFlow } from "./conntrack.ts";
import { decodeFdb, encodeFdb, encodeFlood, encodeHome } from "./fdb.ts";
import { decodeLink, encodeLink } from "./link.ts";
import { decodeLinkInfo, encodeBridge, encodePort, encodeVeth, encodeVxlan } from "./link-info.ts";
import { decodeNeighbour, encodeNeighbour } from "./neighbour.ts";
import { blockElements, decodeElements, encodeElements } from "./nft-set.ts";
import { decodeRoute, encodeRoute } from "./route.ts";
import {
  decodeRedirect,
  decodeTokenBucket,
  encodeQdisc,
  encodeRedirect,
  encodeTokenBucket,
} from "./traffic.ts";
import { wireAddress } from "./wire.ts";

const MAC = "02:a0:0a:20:00:05";
const hex = (bytes: Buffer): string => bytes.toString("hex");
const bytes = (...parts: string[]): Buffer => Buffer.from(parts.join("").replaceAll(" ", ""), "hex");

describe("attributes", () => {
  test.each<[string, Buffer, string]>([
    ["u8, padded", attribute(7, u8(1)), "0500 0700 01 000000"],
    ["u32", attribute(4, u32(1450)), "0800 0400 aa050000"],
    ["network order u16, padded", attribute(15, u16be(6784)), "0600 0f00 1a80 0000"],
    ["text with its NUL", attribute(3, text("weave")), "0a00 0300 7765617665 00 0000"],
    [
      "nested",
      nest(2, attribute(1, u8(9)), attribute(2, u8(8))),
      "1400 0200 0500 0100 09000000 0500 0200 08000000",
    ],
    ["empty", attribute(1, Buffer.alloc(0)), "0400 0100"],
  ])("%s", (_, encoded, expected) => {
    expect(hex(encoded)).toBe(hex(bytes(expected)));
  });

  test("are read back by type, the last of a type counting, flags of the type ignored", () => {
    const found = parseAttributes(bytes("0800 0400 aa050000", "0500 0380 01 000000", "0500 0300 02 000000"));
    expect([...found].map(([type, value]) => [type, hex(value)])).toEqual([
      [4, "aa050000"],
      [3, "02"],
    ]);
    expect([...walkAttributes(bytes("0500 0100 01 000000", "0500 0100 02 000000"))].length).toBe(2);
  });

  test.each<[string, string]>([
    ["a length below the header", "0300 0400 aa050000"],
    ["a length beyond the end", "ff00 0400 aa050000"],
    ["a stump", "0800 04"],
  ])("%s ends the walk", (_, input) => {
    expect(parseAttributes(bytes("0500 0100 07 000000", input))).toEqual(new Map([[1, Buffer.of(7)]]));
  });

  test("one that is too long is refused", () => {
    expect(() => attribute(1, Buffer.alloc(0xffff))).toThrow(RangeError);
  });
});

describe("links", () => {
  test("a bridge to create, up", () => {
    const info = encodeBridge({ stp: false, mcastSnooping: false });
    expect(hex(encodeLink(0, { name: "br", mac: MAC, up: true, info }))).toBe(
      hex(
        bytes(
          "0000 0000 00000000 01000000 01000000", // ifinfomsg: index 0, IFF_UP, change IFF_UP
          "0a00 0100 02a00a200005 0000", // IFLA_ADDRESS
          "0700 0300 627200 00", // IFLA_IFNAME
          "2400 1200", // IFLA_LINKINFO
          "0b00 0100 62726964676500 00", // IFLA_INFO_KIND "bridge"
          "1400 0200", // IFLA_INFO_DATA
          "0800 0500 00000000", // IFLA_BR_STP_STATE
          "0500 1700 00 000000", // IFLA_BR_MCAST_SNOOPING
        ),
      ),
    );
  });

  test("a VXLAN device, and its settings read back", () => {
    const info = encodeVxlan({ vni: 6784, port: 6784, local: "10.99.0.1", learning: false });
    expect(hex(info)).toBe(
      hex(
        bytes(
          "0a00 0100 76786c616e00 0000", // "vxlan"
          "2400 0200",
          "0800 0100 801a0000", // IFLA_VXLAN_ID
          "0800 0400 0a630001", // IFLA_VXLAN_LOCAL
          "0500 0700 00 000000", // IFLA_VXLAN_LEARNING
          "0600 0f00 1a80 0000", // IFLA_VXLAN_PORT
        ),
      ),
    );
    expect(decodeLinkInfo(info).info).toEqual({
      kind: "vxlan",
      vni: 6784,
      port: 6784,
      local: "10.99.0.1",
      learning: false,
    });
    const six = encodeVxlan({ vni: 1, port: 1, local: "fd00::1", learning: true });
    expect(hex(six)).toContain("14001100fd000000000000000000000000000001"); // IFLA_VXLAN_LOCAL6
    expect(decodeLinkInfo(six).info).toMatchObject({ local: "fd00::1", learning: true });
  });

  test("a veth pair whose other end is born in another namespace", () => {
    const info = encodeVeth({ ifname: "eth0", mac: MAC, mtu: 1450, netnsFd: 33 });
    expect(hex(info)).toBe(
      hex(
        bytes(
          "0900 0100 7665746800 000000", // "veth"
          "5000 0200 4c00 0100", // IFLA_INFO_DATA { VETH_INFO_PEER
          "00000000000000000000000000000000", // ifinfomsg
          "0a00 0100 02a00a200005 0000",
          "0900 0300 6574683000 000000", // IFLA_IFNAME "eth0"
          "0800 0400 aa050000",
          "0800 1c00 21000000", // IFLA_NET_NS_FD
          "0800 1f00 01000000 0800 2000 01000000", // IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES
        ),
      ),
    );
  });

  test("port settings: only those named", () => {
    expect(hex(encodePort({ hairpin: true }))).toBe(
      hex(bytes("0b00 0400 62726964676500 00", "0c00 0500 0500 0400 01 000000")),
    );
    const encoded = encodePort({ learning: false, neighSuppress: true });
    expect(hex(encoded)).toBe(
      hex(bytes("0b00 0400 62726964676500 00", "1400 0500 0500 0800 00 000000 0500 2000 01 000000")),
    );
    expect(decodeLinkInfo(encoded).port).toEqual({ hairpin: false, learning: false, neighSuppress: true });
  });

  test("a change by index says nothing about what it leaves alone", () => {
    expect(hex(encodeLink(7, { mtu: 1450, master: 3, group: 9 }))).toBe(
      hex(
        bytes(
          "0000 0000 07000000 00000000 00000000",
          "0800 0400 aa050000",
          "0800 0a00 03000000",
          "0800 1b00 09000000",
        ),
      ),
    );
  });

  test("a link the kernel tells of", () => {
    const payload = bytes(
      "0000 0100 07000000 49100100 00000000", // index 7, UP|LOOPBACK|...
      "0a00 0300 6574683000 00 0000",
      "0a00 0100 02a00a200005 0000",
      "0800 0400 aa050000",
      "0800 0500 02000000", // IFLA_LINK
      "0800 2500 01000000", // IFLA_LINK_NETNSID
      "0800 0a00 03000000", // IFLA_MASTER
    );
    expect(decodeLink(payload)).toEqual({
      index: 7,
      name: "eth0",
      up: true,
      loopback: true,
      mac: MAC,
      mtu: 1450,
      master: 3,
      peer: 2,
      peerNetnsId: 1,
      info: { kind: "other", name: "" },
      port: undefined,
    });
  });
});

describe("addresses", () => {
  test.each<[string, string]>([
    ["10.32.0.1/12", "020c 0000 03000000  0800 0200 0a200001  0800 0100 0a200001"],
    [
      "fd00::1/64", // IFA_F_NODAD
      "0a40 0200 03000000  1400 0200 fd000000000000000000000000000001  1400 0100 fd000000000000000000000000000001",
    ],
  ])("%s", (cidr, expected) => {
    const encoded = encodeAddress(3, wireAddress(cidr));
    expect(hex(encoded)).toBe(hex(bytes(expected)));
    const [address, prefix] = cidr.split("/");
    expect(decodeAddress(encoded)).toEqual({ index: 3, address, prefix: Number(prefix), global: true });
  });

  test("link-local scope is not global; other families are passed over", () => {
    expect(
      decodeAddress(bytes("0a40 00fd 03000000 1400 0100 fe800000000000000000000000000001")),
    ).toMatchObject({
      global: false,
    });
    expect(decodeAddress(bytes("0c40 0000 03000000 0600 0100 0102 0000"))).toBeUndefined();
  });

  test.each(["10.0.0.256", "x", "", "10.0.0.1/33", "fe80::1%eth0"])("%j is no address", (input) => {
    expect(() => wireAddress(input)).toThrow(expect.objectContaining({ code: "bad-address" }));
  });
});

describe("routes", () => {
  test.each<[string, Parameters<typeof encodeRoute>[0], string]>([
    [
      "default by a gateway",
      { dst: "0.0.0.0/0", gateway: "10.32.0.1", oif: 2, onlink: false },
      "0200 0000 fe03 0001 00000000  0800 0500 0a200001  0800 0400 02000000",
    ],
    [
      "on a link, host bits cleared",
      { dst: "10.40.1.2/16", oif: 2, onlink: false },
      "0210 0000 fe03 fd01 00000000  0800 0100 0a280000  0800 0400 02000000",
    ],
    [
      "gateway outside every subnet",
      { dst: "10.40.0.0/16", gateway: "172.16.0.1", oif: 2, onlink: true },
      "0210 0000 fe03 0001 04000000  0800 0100 0a280000  0800 0500 ac100001  0800 0400 02000000",
    ],
  ])("%s", (_, route, expected) => {
    expect(hex(encodeRoute(route))).toBe(hex(bytes(expected)));
  });

  test("are read back; other tables are passed over", () => {
    const encoded = encodeRoute({ dst: "0.0.0.0/0", gateway: "10.32.0.1", oif: 2, onlink: false });
    expect(decodeRoute(encoded)).toEqual({
      dst: "0.0.0.0/0",
      isDefault: true,
      oif: 2,
      gateway: "10.32.0.1",
      source: undefined,
      metric: 0,
      advertised: false,
    });
    expect(decodeRoute(Buffer.concat([encoded, attribute(15, u32(255))]))).toBeUndefined();
    expect(decodeRoute(bytes("0a00 0000 fe09 0001 00000000", "0800 0600 00040000"))).toMatchObject({
      dst: "::/0",
      metric: 1024,
      advertised: true,
    });
  });
});

describe("neighbours and the FDB", () => {
  test("a permanent neighbour", () => {
    const encoded = encodeNeighbour(3, "10.32.0.5", MAC);
    expect(hex(encoded)).toBe(
      hex(bytes("02000000 03000000 8000 00 00", "0800 0100 0a200005", "0a00 0200 02a00a200005 0000")),
    );
    expect(decodeNeighbour(encoded)).toEqual({ index: 3, address: "10.32.0.5", mac: MAC, permanent: true });
  });

  test("both halves of a remote MAC in one request", () => {
    expect(hex(encodeFdb(4, MAC, "10.99.0.2"))).toBe(
      // AF_BRIDGE, NUD_NOARP|NUD_REACHABLE, NTF_SELF|NTF_MASTER|NTF_STICKY
      hex(bytes("07000000 04000000 4200 46 00", "0a00 0200 02a00a200005 0000", "0800 0100 0a630002")),
    );
  });

  test("a local MAC at its port", () => {
    expect(hex(encodeHome(4, MAC))).toBe(
      // NUD_NOARP, NTF_MASTER|NTF_STICKY
      hex(bytes("07000000 04000000 4000 44 00", "0a00 0200 02a00a200005 0000")),
    );
  });

  test("a flood destination", () => {
    expect(hex(encodeFlood(4, "10.99.0.2"))).toBe(
      hex(bytes("07000000 04000000 8000 02 00", "0a00 0200 000000000000 0000", "0800 0100 0a630002")),
    );
  });

  test.each<[string, string, object]>([
    [
      "the device's half",
      "07000000 04000000 4200 42 00  0a00 0200 02a00a200005 0000  0800 0100 0a630002",
      { half: "self", vtep: "10.99.0.2", fixed: true, sticky: true },
    ],
    [
      "the bridge's half",
      "07000000 04000000 4000 40 00  0a00 0200 02a00a200005 0000  0800 0900 03000000",
      { half: "master", vtep: undefined, fixed: true, sticky: true },
    ],
    [
      "a learned one",
      "07000000 04000000 0200 00 00  0a00 0200 02a00a200005 0000  0800 0900 03000000",
      { half: "master", fixed: false, sticky: false },
    ],
    [
      "the port's own MAC",
      "07000000 04000000 8000 00 00  0a00 0200 02a00a200005 0000  0800 0900 03000000",
      { half: "master", fixed: false },
    ],
  ])("%s", (_, input, expected) => {
    expect(decodeFdb(bytes(input))).toMatchObject({ index: 4, mac: MAC, ...expected });
  });
});

describe("UDP flows", () => {
  const tuple = (type: string, source: string, destination: string, ports: string): string =>
    `3400 ${type} 1400 0180 0800 0100 ${source} 0800 0200 ${destination} ` + // CTA_TUPLE_IP
    `1c00 0280 0500 0100 11 000000 0600 0200 ${ports.slice(0, 4)} 0000 0600 0300 ${ports.slice(4)} 0000`; // CTA_TUPLE_PROTO
  const original = tuple("0180", "0a6300c8", "0a630001", "9c4014e9");
  const reply = tuple("0280", "0a200005", "0a6300c8", "00509c40");

  test("one that is translated: who asks whom, and who answers", () => {
    const flow = decodeFlow(bytes("02 00 0000", original, reply, "0800 0c00 01020304")); // CTA_ID
    expect(flow).toMatchObject({
      family: 2,
      original: { source: "10.99.0.200", sourcePort: 40000, destination: "10.99.0.1", destinationPort: 5353 },
      reply: { source: "10.32.0.5", sourcePort: 80, destination: "10.99.0.200", destinationPort: 40000 },
    });
    // What names it to the kernel is its first direction and its id.
    expect(hex(flow?.handle ?? Buffer.alloc(0))).toBe(
      hex(bytes(original.replace("0180", "0100"), "0800 0c00 01020304")),
    );
  });

  test.each<[string, string]>([
    ["of another protocol", original.replace("0500 0100 11", "0500 0100 06")],
    ["without ports", original.replace("0600 0300", "0600 0900")],
    ["cut short", "0800 0180"],
  ])("%s is none", (_, first) => {
    expect(decodeFlow(bytes("02 00 0000", first, reply))).toBeUndefined();
  });

  test("an empty message is none", () => {
    expect(decodeFlow(Buffer.alloc(0))).toBeUndefined();
  });
});

describe("traffic control", () => {
  test("a token bucket of 50 Mbit/s as the root of interface 4", () => {
    const options = encodeTokenBucket({ rate: 6_250_000, burst: 50_000, limit: 206_250 });
    expect(hex(encodeQdisc(4, 0xffffffff, 0x10000, "tbf", options))).toBe(
      hex(
        bytes(
          "00000000 04000000 00000100 ffffffff 00000000", // tcmsg: interface, handle 1:, parent TC_H_ROOT
          "0800 0100 74626600", // TCA_KIND "tbf"
          "3400 0200", // TCA_OPTIONS
          "2800 0100", // TCA_TBF_PARMS: rate {TC_LINKLAYER_ETHERNET, 6250000}, no peak rate, limit, 8 ms in ticks, no mtu
          "00010000 00000000 105e5f00  000000000000000000000000  aa250300 48e80100 00000000",
          "0800 0600 50c30000", // TCA_TBF_BURST
        ),
      ),
    );
  });

  test("a token bucket at the root is read back, another discipline or place is none", () => {
    const bucket = { rate: 10_000_000_000, burst: 50_000, limit: 206_250 };
    const options = encodeTokenBucket(bucket);
    const root = 0xffffffff;
    expect(decodeTokenBucket(encodeQdisc(4, root, 0x10000, "tbf", options))).toEqual({
      rate: bucket.rate,
      limit: bucket.limit,
    });
    const narrow = encodeTokenBucket({ ...bucket, rate: 1 });
    expect(decodeTokenBucket(encodeQdisc(4, root, 0x10000, "tbf", narrow))?.rate).toBe(1);
    expect(decodeTokenBucket(encodeQdisc(4, 0x10001, 0x20000, "tbf", options))).toBeUndefined();
    expect(decodeTokenBucket(encodeQdisc(4, root, 0x10000, "htb", options))).toBeUndefined();
    for (const broken of [undefined, Buffer.alloc(0), options.subarray(0, 20)])
      expect(decodeTokenBucket(encodeQdisc(4, root, 0x10000, "tbf", broken))).toBeUndefined();
  });

  test("a redirect is read back, and nothing out of what is cut short", () => {
    const whole = encodeRedirect(4, 7);
    expect(decodeRedirect(whole)).toEqual([7]);
    for (let length = 20; length < whole.length; length++)
      expect(decodeRedirect(whole.subarray(0, length))).toEqual([]);
  });

  test("a rate beyond 32 bits has 64", () => {
    const options = encodeTokenBucket({ rate: 10_000_000_000, burst: 0xffff_ffff, limit: 0xffff_ffff });
    const found = parseAttributes(options);
    expect(found.get(1)?.readUInt32LE(8)).toBe(0xffff_ffff);
    expect(found.get(4)?.readBigUInt64LE(0)).toBe(10_000_000_000n); // TCA_TBF_RATE64
    expect(found.get(6)?.readUInt32LE(0)).toBe(0xffff_ffff);
    expect(parseAttributes(encodeTokenBucket({ rate: 0xffff_ffff, burst: 1, limit: 1 })).has(4)).toBe(false);
  });

  test("every packet that comes in at interface 4 leaves by interface 7", () => {
    expect(hex(encodeRedirect(4, 7))).toBe(
      hex(
        bytes(
          "00000000 04000000 00000000 0000ffff 00030100", // tcmsg: parent ffff:, priority 1, ETH_P_ALL
          "0800 0100 75333200", // TCA_KIND "u32"
          "6000 0200", // TCA_OPTIONS
          "2400 0500 01000100 00000000 00000000 00000000 00000000000000000000000000000000", // TCA_U32_SEL, one key
          "3800 0700 3400 0100", // TCA_U32_ACT, the first
          "0b00 0100 6d697272656400 00", // TCA_ACT_KIND "mirred"
          "2400 0200 2000 0200", // TCA_ACT_OPTIONS { TCA_MIRRED_PARMS
          "00000000 00000000 04000000 00000000 00000000 01000000 07000000", // TC_ACT_STOLEN, TCA_EGRESS_REDIR, interface
        ),
      ),
    );
  });
});

describe("nf_tables set elements", () => {
  test("a block is its start and the first address after it", () => {
    const block = parseCidr("10.32.0.0/12");
    const encoded = encodeElements({ table: "w", set: "m" }, block === undefined ? [] : blockElements(block));
    expect(hex(encoded)).toBe(
      hex(
        bytes(
          "01 00 0000", // nfgenmsg: NFPROTO_INET
          "0600 0100 7700 0000", // NFTA_SET_ELEM_LIST_TABLE
          "0600 0200 6d00 0000", // NFTA_SET_ELEM_LIST_SET
          "2c00 0300", // NFTA_SET_ELEM_LIST_ELEMENTS
          "1000 0100  0c00 0100  0800 0100 0a200000", // key 10.32.0.0
          "1800 0100  0800 0300 00000001  0c00 0100  0800 0100 0a300000", // NFT_SET_ELEM_INTERVAL_END, key 10.48.0.0
        ),
      ),
    );
  });

  test("a map's element has its data, and both are read back", () => {
    const element = { key: bytes("06000000 1f900000"), data: bytes("0a200005 00500000") };
    const encoded = encodeElements({ table: "w", set: "m" }, [element]);
    expect(hex(encoded)).toBe(
      hex(
        bytes(
          "01 00 0000  0600 0100 7700 0000  0600 0200 6d00 0000", // nfgenmsg, table, set
          "2800 0300 2400 0100", // NFTA_SET_ELEM_LIST_ELEMENTS, one NFTA_LIST_ELEM
          "1000 0100  0c00 0100  06000000 1f900000", // NFTA_SET_ELEM_KEY: tcp . 8080
          "1000 0200  0c00 0100  0a200005 00500000", // NFTA_SET_ELEM_DATA: 10.32.0.5 . 80
        ),
      ),
    );
    expect(decodeElements(encoded)).toEqual([element]);
  });

  test("a block up to the last address has no end", () => {
    const block = parseCidr("255.0.0.0/8");
    const encoded = encodeElements({ table: "w", set: "m" }, block === undefined ? [] : blockElements(block));
    expect(hex(encoded)).not.toContain("0800030000000001");
  });
});
