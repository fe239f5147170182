// The filter table of iptables-legacy, read as iptables itself reads it: getsockopt with struct ipt_getinfo and
// ipt_get_entries (linux/netfilter_ipv4/ip_tables.h, ip6_tables.h). It knows no notifications, so it is read often, and
// only where the kernel has such a table: asking for it would make one, and slow down every packet.
import { existsSync, readFileSync } from "node:fs";
import { close, getsockoptFor, socket } from "../libc.ts";
import { readS32, readText, readU16, readU32, writeU32 } from "../rtnetlink/attributes.ts";

const SOCK_RAW_CLOEXEC = 3 | 0x80000;
const IPPROTO_RAW = 255;
/** IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES; IP6T_SO_* are the same. */
const GET_INFO = 64;
const GET_ENTRIES = 65;
/** Bytes of a table's name (XT_TABLE_MAXNAMELEN), and of struct ipt_getinfo. */
const NAME_BYTES = 32;
const INFO_BYTES = 84;
/** NF_INET_FORWARD, an index into hook_entry and underflow. */
const FORWARD = 2;
const FORWARD_CHAIN = "FORWARD";
/** Verdicts of the standard target are -NF_DROP - 1 and -NF_ACCEPT - 1. */
const VERDICT_DROP = -1;
const VERDICT_ACCEPT = -2;
/** struct xt_entry_target: size, name, revision; what follows is the verdict, or a chain's name. */
const TARGET_BYTES = 32;
/** A table is read in one piece; larger ones are left to their owner. */
const MAX_BYTES = 16 << 20;
/** Up to this size, some thousand rules, the policy is looked at each time, which means to read all rules. */
const MAX_OFTEN_BYTES = 256 << 10;

/**
 * Where things are in struct ipt_entry and ip6t_entry, on kernels with 64-bit counters aligned to 8: `match` ends what is
 * compared with each packet (struct ipt_ip, ip6t_ip6), `size` the entry; matches follow.
 */
const LAYOUT = {
  2: { names: "ip_tables_names", level: 0, iniface: 16, outiface: 32, match: 84, target: 88, size: 112 },
  10: { names: "ip6_tables_names", level: 41, iniface: 64, outiface: 80, match: 136, target: 140, size: 168 },
} as const;

/** The filter table, as far as it matters here. */
export interface LegacyTable {
  /** Policy DROP of FORWARD, or a rule in it that drops or rejects whatever comes to it. */
  readonly drops: boolean;
  /** Names of chains of its own, such as DOCKER-USER. */
  readonly chains: readonly string[];
  /** Rules that accept, of FORWARD and of chains of its own. */
  readonly accepts: readonly {
    readonly chain: string;
    readonly iniface: string;
    readonly outiface: string;
  }[];
}

/** Reads in the namespace the thread is in when it is made and called. */
export class LegacyReader {
  readonly #family: 2 | 10;
  #fd = -1;

  constructor(family: 2 | 10) {
    this.#family = family;
  }

  /** What changes when rules come or go, or the policy changes; undefined when there is no such table. */
  fingerprint(): string | undefined {
    const info = this.#info();
    if (info === undefined) return undefined;
    const drops = readU32(info, 80) <= MAX_OFTEN_BYTES && this.#entries(info)?.drops;
    return `${info.toString("hex")} ${drops}`;
  }

  /** Undefined when there is no such table, or it cannot be read. */
  read(): LegacyTable | undefined {
    const info = this.#info();
    return info === undefined ? undefined : this.#entries(info);
  }

  close(): void {
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }

  #entries(info: Buffer): LegacyTable | undefined {
    const size = readU32(info, 80);
    if (size > MAX_BYTES) return undefined;
    // struct ipt_get_entries: name, size, and the entries at the next multiple of 8.
    const bytes = Buffer.alloc(NAME_BYTES + 8 + size);
    bytes.write("filter");
    writeU32(bytes, size, NAME_BYTES);
    if (!this.#get(GET_ENTRIES, bytes)) return undefined;
    return parseTable(this.#family, info, bytes.subarray(NAME_BYTES + 8));
  }

  #info(): Buffer | undefined {
    if (!this.#exists()) return undefined;
    const info = Buffer.alloc(INFO_BYTES);
    info.write("filter");
    return this.#get(GET_INFO, info) ? info : undefined;
  }

  #exists(): boolean {
    const path = `/proc/thread-self/net/${LAYOUT[this.#family].names}`;
    if (!existsSync(path)) return false; // the kernel has no iptables-legacy
    return readFileSync(path, "utf8").split("\n").includes("filter");
  }

  #get(what: number, value: Buffer): boolean {
    if (this.#fd < 0) this.#fd = socket(this.#family, SOCK_RAW_CLOEXEC, IPPROTO_RAW);
    if (this.#fd < 0) return false;
    const { level } = LAYOUT[this.#family];
    return getsockoptFor(this.#fd, level, what, value, Uint32Array.of(value.length)) === 0;
  }
}

/** `info` is struct ipt_getinfo, `entries` what it describes. */
export function parseTable(family: 2 | 10, info: Buffer, entries: Buffer): LegacyTable {
  const { iniface, outiface, target } = LAYOUT[family];
  const forwardFrom = readU32(info, 36 + 4 * FORWARD);
  const forwardEnd = readU32(info, 56 + 4 * FORWARD);
  const chains: string[] = [];
  const accepts: { chain: string; iniface: string; outiface: string }[] = [];
  let chain = "";
  let drops = false;
  for (let at = 0; at + target + 4 <= entries.length; ) {
    const verdictAt = at + readU16(entries, at + target) + TARGET_BYTES;
    const next = at + readU16(entries, at + target + 2);
    if (next <= at || verdictAt + 4 > entries.length) break;
    const kind = readText(entries.subarray(verdictAt - TARGET_BYTES + 2, verdictAt - 1));
    if (at === forwardFrom) chain = FORWARD_CHAIN;
    if (kind === "ERROR") {
      // A chain of its own begins, or the table ends, with an entry that has its name.
      chain = readText(entries.subarray(verdictAt, next));
      chains.push(chain);
    } else if (kind === "") {
      const verdict = readS32(entries, verdictAt);
      if (at === forwardEnd) drops ||= verdict === VERDICT_DROP;
      else if (verdict === VERDICT_DROP) drops ||= chain === FORWARD_CHAIN && takesAll(family, entries, at);
      else if (verdict === VERDICT_ACCEPT && chain !== "")
        accepts.push({
          chain,
          iniface: readText(entries.subarray(at + iniface, at + iniface + 16)),
          outiface: readText(entries.subarray(at + outiface, at + outiface + 16)),
        });
    } else if (kind === "REJECT") drops ||= chain === FORWARD_CHAIN && takesAll(family, entries, at);
    if (at === forwardEnd) chain = "";
    at = next;
  }
  return { drops, chains, accepts };
}

/** Whether the entry at `at` compares nothing; struct xt_entry_match begins with its size and its name. */
function takesAll(family: 2 | 10, entries: Buffer, at: number): boolean {
  const { match, target, size } = LAYOUT[family];
  if (entries.subarray(at, at + match).some((byte) => byte !== 0)) return false;
  const end = at + readU16(entries, at + target);
  for (let next = at + size; next < end; ) {
    const bytes = readU16(entries, next);
    if (bytes < 4 || readText(entries.subarray(next + 2, next + 31)) !== "comment") return false;
    next += bytes;
  }
  return true;
}
