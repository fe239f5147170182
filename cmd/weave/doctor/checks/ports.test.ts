import { describe, expect, it } from "vitest";
import { parseSockets } from "../facts/sockets.ts";
import { judgePorts, type PortFacts } from "./ports.ts";

const socket = {
  protocol: "tcp",
  port: 6783,
  loopback: false,
  anyAddress: true,
  inode: "7",
} as const;
const holder = { pid: 123, name: "nginx", end: "systemctl stop nginx.service" };
const facts: PortFacts = { port: 6783, sockets: [], vxlans: [], daemon: undefined };
const codes = (changed: Partial<PortFacts>): string[] =>
  judgePorts({ ...facts, ...changed }).findings.map(({ object, command }) => `${object}: ${command}`);

describe("ports", () => {
  it("are free, or the daemon's", () => {
    expect(judgePorts(facts)).toEqual({ findings: [], saw: "TCP 6783, UDP 6784, TCP 6782: free" });
    const own = { ...socket, holder: { ...holder, pid: 4711 } };
    const judged = judgePorts({ ...facts, sockets: [own], daemon: 4711 });
    expect(judged).toEqual({ findings: [], saw: "TCP 6783, UDP 6784, TCP 6782: weaver's" });
  });

  it("are told with who holds them, once for all families", () => {
    expect(
      codes({
        sockets: [
          { ...socket, holder },
          { ...socket, inode: "8", holder },
        ],
      }),
    ).toEqual(["TCP 6783: systemctl stop nginx.service"]);
    expect(codes({ sockets: [{ ...socket, protocol: "udp", port: 6784, holder }] })).toEqual([
      "UDP 6784: systemctl stop nginx.service",
    ]);
    expect(codes({ sockets: [socket] })).toEqual(["TCP 6783: ss -lnpt sport = :6783"]);
  });

  it("of status count on loopback and on all addresses only", () => {
    const status = { ...socket, port: 6782, holder };
    expect(codes({ sockets: [status] })).toHaveLength(1);
    expect(codes({ sockets: [{ ...status, anyAddress: false, loopback: true }] })).toHaveLength(1);
    expect(codes({ sockets: [{ ...status, anyAddress: false }] })).toEqual([]);
  });

  it("the kernel's own socket belongs to the VXLAN device", () => {
    const kernels = { ...socket, protocol: "udp", port: 6784 } as const;
    expect(codes({ sockets: [kernels], vxlans: [{ name: "vxlan-6784", port: 6784 }] })).toEqual([]);
    expect(codes({ sockets: [kernels], vxlans: [{ name: "flannel.1", port: 6784 }] })).toEqual([
      "UDP 6784: ip link delete flannel.1",
    ]);
    expect(codes({ sockets: [kernels], vxlans: [{ name: "flannel.1", port: 8472 }] })).toHaveLength(1);
  });
});

it("sockets are read as the kernel prints them", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1A7E 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 16003 1 0000 100
   1: 0A0A0A0A:1A7F 0B0A0A0A:0016 01 00000000:00000000 00:00000000 00000000     0        0 16004 1 0000 20`;
  expect(parseSockets(table, "tcp")).toEqual([
    { protocol: "tcp", port: 6782, loopback: true, anyAddress: false, inode: "16003" },
  ]);
  const six = `   0: 00000000000000000000000000000000:1A80 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16005 2 0000 0
   1: 00000000000000000000000001000000:1A80 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16006 2 0000 0`;
  expect(parseSockets(six, "udp")).toMatchObject([
    { port: 6784, anyAddress: true, loopback: false },
    { port: 6784, anyAddress: false, loopback: true },
  ]);
});
