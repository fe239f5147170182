// Who owns how much, as a host sees it.
import type { Status } from "../../src/api/status.ts";

/** Nickname (or name) of each owner to its addresses of all ranges. */
export function sharesOf({ ipam }: Pick<Status, "ipam">): Record<string, number> {
  const shares: Record<string, number> = {};
  for (const { owners } of ipam)
    for (const { nickname, addresses } of owners) shares[nickname] = (shares[nickname] ?? 0) + addresses;
  return shares;
}

/** All addresses of all ranges have an owner, and the owners are these. */
export function isOwnedBy(status: Pick<Status, "ipam">, ...nicknames: readonly string[]): boolean {
  const shares = sharesOf(status);
  const owned = Object.values(shares).reduce((sum, share) => sum + share, 0);
  const size = status.ipam.reduce((sum, range) => sum + range.size, 0);
  return owned === size && Object.keys(shares).every((name) => nicknames.includes(name));
}
