// Frames no well-behaved container would send, sent from inside its namespace.
import { closeSync, openSync } from "node:fs";
import { ifIndex } from "../../../src/kernel/libc.ts";
import { inNetns } from "../../../src/kernel/netns.ts";
import { announcement, sendFrames } from "../../../src/kernel/packet.ts";
import type { TestNamespace } from "./namespaces.ts";

export const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** An Ethernet frame; `type` is the EtherType. */
export function etherFrame(dst: string, src: string, type: number, payload: Buffer): Buffer {
  const ether = Buffer.alloc(2);
  ether.writeUInt16BE(type);
  return Buffer.concat([macBytes(dst), macBytes(src), ether, payload]);
}

/** Says to all, or to one, that `address` is at `mac`: ARP or ND, sent by `mac`. */
export function claim(address: string, mac: string, to?: string): Buffer {
  const frame = Buffer.from(announcement(address, mac, mac));
  if (to !== undefined) macBytes(to).copy(frame);
  return frame;
}

/** The same frame behind a tag of VLAN 0 (IEEE 802.1Q: priority only), which receivers take off. */
export function tagged(frame: Buffer): Buffer {
  return Buffer.concat([frame.subarray(0, 12), Buffer.from([0x81, 0, 0, 0]), frame.subarray(12)]);
}

/** Says to all that the link-local address of `mac` is a router for half an hour (RFC 4861, 4.2). */
export function routerAdvertisement(mac: string): Buffer {
  const icmp = Buffer.from([134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0]);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  const source = Buffer.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
  const allNodes = Buffer.from("ff020000000000000000000000000001", "hex");
  const pseudo = Buffer.concat([source, allNodes, Buffer.from([0, 0, 0, icmp.length, 0, 0, 0, 58]), icmp]);
  let sum = 0;
  for (let i = 0; i < pseudo.length; i += 2) sum += pseudo.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  icmp.writeUInt16BE(~sum & 0xffff, 2);
  const head = Buffer.from([0x60, 0, 0, 0, 0, icmp.length, 58, 255]);
  return etherFrame("33:33:00:00:00:01", mac, 0x86dd, Buffer.concat([head, source, allNodes, icmp]));
}

/** Send frames out of a container's eth0. */
export function sendRaw(ns: TestNamespace, frames: readonly Buffer[]): void {
  const fd = openSync(ns.path, "r");
  try {
    inNetns(fd, () => sendFrames(ifIndex("eth0"), frames));
  } finally {
    closeSync(fd);
  }
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}
