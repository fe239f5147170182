// Versions of the CNI specification as plugins and configurations name them, of this plugin or of others.

/** Ascending, by number: 1.0.0 after 0.10.0. Text that is no version comes first, by character. */
export function sortVersions(versions: Iterable<string>): string[] {
  return [...versions].sort((a, b) => {
    const [left, right] = [numbers(a), numbers(b)];
    const at = left.findIndex((number, index) => number !== right[index]);
    return at < 0 ? (a < b ? -1 : a > b ? 1 : 0) : (left[at] ?? 0) - (right[at] ?? 0);
  });
}

/** "0.1.0 to 1.1.0"; several in between are not listed. `versions` ascend. */
export function spanOf(versions: readonly string[]): string {
  const [first, last] = [versions[0], versions.at(-1)];
  if (first === undefined || last === undefined) return "none";
  return first === last ? first : `${first} to ${last}`;
}

function numbers(version: string): number[] {
  const parts = /^(\d{1,6})\.(\d{1,6})\.(\d{1,6})$/.exec(version)?.slice(1) ?? ["-1", "-1", "-1"];
  return parts.map(Number);
}
