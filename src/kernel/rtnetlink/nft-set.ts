// Elements of nf_tables interval sets over nfnetlink (linux/netfilter/nf_tables.h): the one firewall change that must
// work without starting a process. Tables, chains and rules are loaded as text elsewhere.
import { type Cidr, cidrSize, networkOf } from "../../core/address/cidr.ts";
import { attribute, nest, parseAttributes, text, u32be, walkAttributes } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { type BatchMessage, type NetlinkSocket, NLM_F_CREATE } from "./socket.ts";

const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_GETSETELEM = 13;
const NFT_MSG_DELSETELEM = 14;
const NFPROTO_UNSPEC = 0;
const NFPROTO_INET = 1;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_FLAGS = 3;
const NFTA_DATA_VALUE = 1;
/** NFT_SET_ELEM_INTERVAL_END: the first key that is not in the interval any more. */
const INTERVAL_END = 1;

/** A set of a table of family inet. */
export interface SetName {
  readonly table: string;
  readonly set: string;
}

/** Add and remove blocks of one set in one transaction; `remove` comes first. ENOENT when the set is gone. */
export async function changeSet(
  socket: NetlinkSocket,
  name: SetName,
  add: readonly Cidr[],
  remove: readonly Cidr[],
): Promise<void> {
  const body: BatchMessage[] = [];
  if (remove.length > 0) body.push(message(NFT_MSG_DELSETELEM, 0, encodeElements(name, remove)));
  if (add.length > 0) body.push(message(NFT_MSG_NEWSETELEM, NLM_F_CREATE, encodeElements(name, add)));
  if (body.length === 0) return;
  const marker = nfgenmsg(NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);
  await socket.batch(
    { operation: "nft set", object: `${name.table} ${name.set}` },
    { type: NFNL_MSG_BATCH_BEGIN, flags: 0, payload: marker },
    body,
    { type: NFNL_MSG_BATCH_END, flags: 0, payload: marker },
  );
}

/** Start keys of the intervals of a set, as hex; undefined when there is no such set. */
export async function listSet(
  socket: NetlinkSocket,
  name: SetName,
): Promise<ReadonlySet<string> | undefined> {
  const type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETSETELEM;
  const payload = Buffer.concat([nfgenmsg(NFPROTO_INET, 0), ...setAttributes(name)]);
  try {
    const parts = await socket.dump(
      { operation: "nft list", object: `${name.table} ${name.set}` },
      type,
      payload,
    );
    return new Set(parts.flatMap((part) => decodeStarts(part.data)));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** NFT_MSG_*SETELEM payload: start and end of every block; a block that ends with the address space has no end. */
export function encodeElements(name: SetName, elements: readonly Cidr[]): Buffer {
  const list = elements.flatMap((cidr) => {
    const start = networkOf(cidr).value;
    const end = start + cidrSize(cidr);
    const size = cidr.family === 4 ? 4 : 16;
    const last = end >= 1n << BigInt(size * 8);
    return [element(start, size, 0), ...(last ? [] : [element(end, size, INTERVAL_END)])];
  });
  return Buffer.concat([
    nfgenmsg(NFPROTO_INET, 0),
    ...setAttributes(name),
    nest(NFTA_SET_ELEM_LIST_ELEMENTS, ...list),
  ]);
}

function decodeStarts(payload: Buffer): string[] {
  const elements = parseAttributes(payload.subarray(4)).get(NFTA_SET_ELEM_LIST_ELEMENTS);
  const starts: string[] = [];
  for (const [type, value] of walkAttributes(elements ?? Buffer.alloc(0))) {
    if (type !== NFTA_LIST_ELEM) continue;
    const attributes = parseAttributes(value);
    const flags = attributes.get(NFTA_SET_ELEM_FLAGS);
    if (flags !== undefined && flags.length === 4 && (flags.readUInt32BE(0) & INTERVAL_END) !== 0) continue;
    const key = parseAttributes(attributes.get(NFTA_SET_ELEM_KEY) ?? Buffer.alloc(0)).get(NFTA_DATA_VALUE);
    if (key !== undefined) starts.push(key.toString("hex"));
  }
  return starts;
}

function element(key: bigint, size: number, flags: number): Buffer {
  const bytes = Buffer.from(key.toString(16).padStart(size * 2, "0"), "hex");
  return nest(
    NFTA_LIST_ELEM,
    ...(flags === 0 ? [] : [attribute(NFTA_SET_ELEM_FLAGS, u32be(flags))]),
    nest(NFTA_SET_ELEM_KEY, attribute(NFTA_DATA_VALUE, bytes)),
  );
}

function setAttributes(name: SetName): Buffer[] {
  return [
    attribute(NFTA_SET_ELEM_LIST_TABLE, text(name.table)),
    attribute(NFTA_SET_ELEM_LIST_SET, text(name.set)),
  ];
}

/** struct nfgenmsg: family, version 0, resource id in network order. */
function nfgenmsg(family: number, resource: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt16BE(resource, 2);
  return bytes;
}

function message(command: number, flags: number, payload: Buffer): BatchMessage {
  return { type: (NFNL_SUBSYS_NFTABLES << 8) | command, flags, payload };
}
