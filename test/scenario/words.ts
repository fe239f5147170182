// Words of a scenario's line, and what a word can be: a host, a list of hosts, an address, a time. Everything that is not
// what was asked for throws with a text for people.

/** Of hosts and containers. */
export const NAME = /^[a-z][a-z0-9-]*$/;
/** Of peers; may be longer and freer than a host's here. */
export const PEER_NAME = /^[A-Za-z0-9][A-Za-z0-9:._-]*$/;
/** Of errors and problems. */
export const CODE = /^[a-z]+(-[a-z]+)*$/;
/** IPv4 or IPv6, without prefix. */
export const ADDRESS = /^(?=.*[.:])[0-9a-f.:]+$/;
/** With one. */
export const CIDR = /^[0-9a-f.:]+\/\d+$/;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 };

/** "alice", "alice,bob", "h1..h10"; several words one after the other. */
export function hostList(words: readonly string[]): readonly string[] {
  const hosts = words.flatMap((word) => word.split(",")).flatMap(expand);
  if (hosts.length === 0) throw new Error("which host?");
  for (const host of hosts) if (!NAME.test(host)) throw new Error(`"${host}" is no name of a host`);
  return hosts;
}

/** "c1..c3" is c1, c2 and c3. */
export function expand(word: string): readonly string[] {
  const match = /^([a-z-]+)(\d+)\.\.\1(\d+)$/.exec(word);
  if (match === null) return [word];
  const [from, to] = [wholeNumber(match[2] ?? ""), wholeNumber(match[3] ?? "")];
  if (to < from) throw new Error(`"${word}" runs backwards`);
  return Array.from({ length: to - from + 1 }, (_, i) => `${match[1]}${from + i}`);
}

/** Options that take a value, and what stands beside them. */
const VALUED = new Set(["--ipalloc-init", "--ipalloc-range", "--name", "--conn-limit", "--join"]);

/** "--name x" into options, the rest plain; a flag has the value "". */
export function optionsOf(words: readonly string[]): { plain: string[]; options: Map<string, string> } {
  const plain: string[] = [];
  const options = new Map<string, string>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (!word.startsWith("--")) plain.push(word);
    else if (!VALUED.has(word)) options.set(word, "");
    else {
      const value = words[++i];
      if (value === undefined) throw new Error(`${word} needs a value`);
      options.set(word, value);
    }
  }
  return { plain, options };
}

/** The one word left, in quotation marks, or none. */
export function quoted(words: readonly string[]): { text?: string } {
  if (words.length === 0) return {};
  const text = /^"(.+)"$/.exec(one(words, /./, "a text"))?.[1];
  if (text === undefined) throw new Error(`${words[0]} should stand in quotation marks`);
  return { text };
}

/** Text in quotation marks is one word. */
export const wordsOf = (line: string): readonly string[] => line.match(/"[^"]*"|\S+/g) ?? [];

/** At each `at`, which is left out. */
export function split(words: readonly string[], at: string): readonly (readonly string[])[] {
  const parts: string[][] = [[]];
  for (const word of words) {
    if (word === at) parts.push([]);
    else parts.at(-1)?.push(word);
  }
  return parts;
}

/** The one word left, of this form; `what` is for the message. */
export function one(words: readonly string[], form: RegExp, what: string): string {
  const [word = "", ...more] = words;
  nothing(more);
  if (!form.test(word)) throw new Error(`"${word}" is not ${what}`);
  return word;
}

/** Throws when a word is left. */
export function nothing(words: readonly string[]): void {
  if (words.length > 0) throw new Error(`"${words.join(" ")}" is too much`);
}

/** "12". */
export function wholeNumber(word: string): number {
  if (!/^\d+$/.test(word)) throw new Error(`"${word}" is no number`);
  return Number(word);
}

/** In milliseconds: "500ms", "10s", "5min", "1h". */
export function duration(word: string | undefined): number {
  const [, count = "", unit = ""] = /^(\d+)([a-z]+)$/.exec(word ?? "") ?? [];
  const factor = UNITS[unit];
  if (factor === undefined) throw new Error(`"${word}" is no time; 500ms, 10s, 5min, 1h are`);
  return Number(count) * factor;
}
