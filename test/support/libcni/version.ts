// Versions of the specification, compared as the library compares them.

type Parts = readonly [number, number, number];

/** "1.0" is 1.0.0; undefined for what is no version. An absent one is 0.1.0. */
function parse(text: string): Parts | undefined {
  const match = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(text === "" ? "0.1.0" : text);
  return match === null ? undefined : [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)];
}

export function compareVersions(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)];
  if (left === undefined || right === undefined) throw new Error(`not a version: "${a}" or "${b}"`);
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

export const isAtLeast = (version: string, since: string): boolean => compareVersions(version, since) >= 0;
