// How a peer is called in all tables: name and nickname, as Weave Net wrote them.
import { shorten, width } from "../text.ts";

/** Where there is room for less, it is of no use to anybody. */
const LEAST_NAME = 4;

/** "name(nickname)". */
export function peerLabel(peer: { readonly name: string; readonly nickname: string }): string {
  return peer.nickname === "" || peer.nickname === peer.name ? peer.name : `${peer.name}(${peer.nickname})`;
}

/** The same in fewer columns: the nickname, which people know a host by, is cut last. */
export function shortPeerLabel(
  peer: { readonly name: string; readonly nickname: string },
  columns: number,
): string {
  const left = columns - width(`(${peer.nickname})`);
  if (left >= LEAST_NAME && peer.nickname !== peer.name && peer.nickname !== "")
    return `${shorten(peer.name, left)}(${peer.nickname})`;
  return shorten(peer.nickname === "" ? peer.name : peer.nickname, columns);
}

/** 3 containers, 1 container. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;
}
