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
