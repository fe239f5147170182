// How a peer is called in all tables: name and nickname, as Weave Net wrote them.
export function peerLabel(peer: { readonly name: string; readonly nickname: string }): string {
  return peer.nickname === "" || peer.nickname === peer.name ? peer.name : `${peer.name}(${peer.nickname})`;
}

/** 3 containers, 1 container. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;
}
