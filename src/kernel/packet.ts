// Announcements on a link: gratuitous ARP (RFC 5227, 1.2) and unsolicited neighbour advertisement (RFC 4861, 7.2.6),
// built as frames and sent through a packet socket of the namespace the thread is in.
import { closeLater, errno, sendto, socket } from "./libc.ts";
import { errnoName, kernelError } from "./rtnetlink/errors.ts";
import { AF_INET, macBytes, wireAddress } from "./rtnetlink/wire.ts";

const AF_PACKET = 17;
const SOCK_RAW_CLOEXEC = 3 | 0x80000;
const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;
const BROADCAST = Buffer.alloc(6, 0xff);
/** 33:33 and the last four bytes of ff02::1 (RFC 2464, 7). */
const ALL_NODES_MAC = Buffer.from("333300000001", "hex");
const ALL_NODES = Buffer.from("ff020000000000000000000000000001", "hex");
const IPPROTO_ICMPV6 = 58;
const ND_NEIGHBOR_ADVERT = 136;
/** ND_NA_FLAG_OVERRIDE: replace what is cached. Solicited stays 0, which is what makes it unsolicited. */
const FLAG_OVERRIDE = 0x20;
/** ND_OPT_TARGET_LINKADDR. */
const OPTION_TARGET_LLADDR = 2;

/** The frame telling everyone on a link that `address` is at `mac`. `sender` is the frame's own source MAC. */
export function announcement(address: string, mac: string, sender: string = mac): Buffer {
  const { family, bytes } = wireAddress(address);
  return family === AF_INET
    ? gratuitousArp(bytes, macBytes(mac), macBytes(sender))
    : neighbourAdvertisement(bytes, macBytes(mac), macBytes(sender));
}

/** Send whole Ethernet frames out of an interface of the current namespace. Synchronous, so it may run inside inNetns. */
export function sendFrames(ifindex: number, frames: readonly Buffer[]): void {
  if (frames.length === 0) return;
  const subject = { operation: "announce", object: `interface ${ifindex}` };
  // Protocol 0: a socket that only sends, and is woken by no frame.
  const fd = socket(AF_PACKET, SOCK_RAW_CLOEXEC, 0);
  if (fd < 0) throw kernelError(subject, errnoName(errno()));
  try {
    for (const frame of frames) {
      const address = linkLayerAddress(ifindex, frame);
      if (sendto(fd, frame, frame.length, 0, address, address.length) < 0)
        throw kernelError(subject, errnoName(errno()));
    }
  } finally {
    closeLater(fd);
  }
}

/** struct sockaddr_ll (linux/if_packet.h). */
function linkLayerAddress(ifindex: number, frame: Buffer): Buffer {
  const address = Buffer.alloc(20);
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_PACKET;
  frame.copy(address, 2, 12, 14); // sll_protocol, as in the frame
  new Int32Array(address.buffer, address.byteOffset + 4, 1)[0] = ifindex;
  address.writeUInt8(6, 11); // sll_halen
  frame.copy(address, 12, 0, 6);
  return address;
}

/** ARP request with equal sender and target address: hosts refresh an entry they have, and make none. */
function gratuitousArp(address: Buffer, mac: Buffer, sender: Buffer): Buffer {
  const arp = Buffer.alloc(28);
  arp.writeUInt16BE(1, 0); // ARPHRD_ETHER
  arp.writeUInt16BE(0x0800, 2);
  arp.writeUInt8(6, 4);
  arp.writeUInt8(4, 5);
  arp.writeUInt16BE(1, 6); // ARPOP_REQUEST
  mac.copy(arp, 8);
  address.copy(arp, 14);
  address.copy(arp, 24);
  return Buffer.concat([ethernet(BROADCAST, sender, ETH_P_ARP), arp]);
}

function neighbourAdvertisement(address: Buffer, mac: Buffer, sender: Buffer): Buffer {
  const icmp = Buffer.alloc(32);
  icmp.writeUInt8(ND_NEIGHBOR_ADVERT, 0);
  icmp.writeUInt8(FLAG_OVERRIDE, 4);
  address.copy(icmp, 8);
  icmp.writeUInt8(OPTION_TARGET_LLADDR, 24);
  icmp.writeUInt8(1, 25); // length in units of 8 bytes
  mac.copy(icmp, 26);
  const ip = Buffer.alloc(40);
  ip.writeUInt8(0x60, 0);
  ip.writeUInt16BE(icmp.length, 4);
  ip.writeUInt8(IPPROTO_ICMPV6, 6);
  ip.writeUInt8(255, 7); // receivers drop any other hop limit: it proves the frame was not routed
  address.copy(ip, 8);
  ALL_NODES.copy(ip, 24);
  icmp.writeUInt16BE(icmpChecksum(ip, icmp), 2);
  return Buffer.concat([ethernet(ALL_NODES_MAC, sender, ETH_P_IPV6), ip, icmp]);
}

function ethernet(destination: Buffer, source: Buffer, type: number): Buffer {
  const ethertype = Buffer.alloc(2);
  ethertype.writeUInt16BE(type, 0);
  return Buffer.concat([destination, source, ethertype]);
}

/** Over the pseudo header of RFC 8200, 8.1. Both parts have even lengths. */
function icmpChecksum(ip: Buffer, icmp: Buffer): number {
  let sum = icmp.length + IPPROTO_ICMPV6;
  for (let i = 8; i < 40; i += 2) sum += ip.readUInt16BE(i);
  for (let i = 0; i < icmp.length; i += 2) sum += icmp.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
