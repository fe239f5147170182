// Elements of nf_tables sets and maps over nfnetlink (linux/netfilter/nf_tables.h): the one firewall change that must
// work without starting a process. Tables, chains, rules and the sets themselves are loaded as text elsewhere.
import { type Cidr, cidrSize, networkOf } from "../../core/address/cidr.ts";
import { attribute, nest, parseAttributes, text, u32be, walkAttributes } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { NFPROTO_UNSPEC, nfgenmsg, protocolOf, type TableFamily } from "./nfnetlink.ts";
import { type BatchMessage, type NetlinkSocket, NLM_F_CREATE } from "./socket.ts";

const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_GETSETELEM = 13;
const NFT_MSG_DELSETELEM = 14;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_SET_ELEM_FLAGS = 3;
const NFTA_DATA_VALUE = 1;
/** NFT_SET_ELEM_INTERVAL_END: the first key that is not in the interval any more. */
const INTERVAL_END = 1;

/** A set or map of a table. */
export interface SetName {
  /** Default: inet. */
  readonly family?: TableFamily;
  readonly table: string;
  readonly set: string;
}

/** One element as the kernel has it. Fields of a concatenation are padded to four bytes each. */
export interface Element {
  readonly key: Buffer;
  /** What a map maps the key to. */
  readonly data?: Buffer;
  /** Ends the interval the element before it began, itself not in it. */
  readonly end?: boolean;
}

/** What to do with one set. */
export interface SetChange {
  /** Of its table. Default: inet. */
  readonly family?: TableFamily;
  readonly set: string;
  readonly add: readonly Element[];
  readonly remove: readonly Element[];
}

/**
 * Change any number of sets of tables of one name in one transaction; removals of a set come before its additions, so that a map
 * can give a key another value. ENOENT when a set, or an element to remove, is gone.
 */
export async function changeSets(
  socket: NetlinkSocket,
  table: string,
  changes: readonly SetChange[],
): Promise<void> {
  const body: BatchMessage[] = changes.flatMap(({ family = "inet", set, add, remove }) => {
    const name = { family, table, set };
    return [
      ...(remove.length > 0 ? [message(NFT_MSG_DELSETELEM, 0, encodeElements(name, remove))] : []),
      ...(add.length > 0 ? [message(NFT_MSG_NEWSETELEM, NLM_F_CREATE, encodeElements(name, add))] : []),
    ];
  });
  if (body.length === 0) return;
  const marker = nfgenmsg(NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);
  await socket.batch(
    { operation: "nft set", object: `${table} ${changes.map(({ set }) => set).join(" ")}` },
    { type: NFNL_MSG_BATCH_BEGIN, flags: 0, payload: marker },
    body,
    { type: NFNL_MSG_BATCH_END, flags: 0, payload: marker },
  );
}

/** The elements of a set; undefined when there is no such set. */
export async function listSet(socket: NetlinkSocket, name: SetName): Promise<readonly Element[] | undefined> {
  const type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETSETELEM;
  const payload = Buffer.concat([nfgenmsg(protocolOf(name.family), 0), ...setAttributes(name)]);
  try {
    const parts = await socket.dump(
      { operation: "nft list", object: `${name.table} ${name.set}` },
      type,
      payload,
    );
    return parts.flatMap((part) => decodeElements(part.data));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** A block in a set of intervals: its start and its end; a block that ends with the address space has no end. */
export function blockElements(cidr: Cidr): readonly Element[] {
  const start = networkOf(cidr).value;
  const end = start + cidrSize(cidr);
  const size = cidr.family === 4 ? 4 : 16;
  const last = end >= 1n << BigInt(size * 8);
  return [{ key: bytesOf(start, size) }, ...(last ? [] : [{ key: bytesOf(end, size), end: true }])];
}

/** NFT_MSG_*SETELEM payload. */
export function encodeElements(name: SetName, elements: readonly Element[]): Buffer {
  return Buffer.concat([
    nfgenmsg(protocolOf(name.family), 0),
    ...setAttributes(name),
    nest(NFTA_SET_ELEM_LIST_ELEMENTS, ...elements.map(encodeElement)),
  ]);
}

/** NFT_MSG_NEWSETELEM payload as the kernel sends it. */
export function decodeElements(payload: Buffer): Element[] {
  const list = parseAttributes(payload.subarray(4)).get(NFTA_SET_ELEM_LIST_ELEMENTS);
  const elements: Element[] = [];
  for (const [type, value] of walkAttributes(list ?? Buffer.alloc(0))) {
    if (type !== NFTA_LIST_ELEM) continue;
    const attributes = parseAttributes(value);
    const flags = attributes.get(NFTA_SET_ELEM_FLAGS);
    const key = dataValue(attributes.get(NFTA_SET_ELEM_KEY));
    const data = dataValue(attributes.get(NFTA_SET_ELEM_DATA));
    if (key === undefined) continue;
    const end = flags?.length === 4 && (flags.readUInt32BE(0) & INTERVAL_END) !== 0;
    elements.push({ key, ...(data === undefined ? {} : { data }), ...(end ? { end } : {}) });
  }
  return elements;
}

function encodeElement({ key, data, end }: Element): Buffer {
  return nest(
    NFTA_LIST_ELEM,
    ...(end === true ? [attribute(NFTA_SET_ELEM_FLAGS, u32be(INTERVAL_END))] : []),
    nest(NFTA_SET_ELEM_KEY, attribute(NFTA_DATA_VALUE, key)),
    ...(data === undefined ? [] : [nest(NFTA_SET_ELEM_DATA, attribute(NFTA_DATA_VALUE, data))]),
  );
}

function dataValue(bytes: Buffer | undefined): Buffer | undefined {
  return bytes === undefined ? undefined : parseAttributes(bytes).get(NFTA_DATA_VALUE);
}

function setAttributes(name: SetName): Buffer[] {
  return [
    attribute(NFTA_SET_ELEM_LIST_TABLE, text(name.table)),
    attribute(NFTA_SET_ELEM_LIST_SET, text(name.set)),
  ];
}

function bytesOf(value: bigint, size: number): Buffer {
  return Buffer.from(value.toString(16).padStart(size * 2, "0"), "hex");
}

function message(command: number, flags: number, payload: Buffer): BatchMessage {
  return { type: (NFNL_SUBSYS_NFTABLES << 8) | command, flags, payload };
}
