// Text for a terminal of 100 columns: plain, shortened, wrapped. Much of it comes from other hosts and is not trusted.

/**
 * Without characters that control a terminal or change the direction of text (Unicode categories Cc, Cf, Zl, Zp):
 * a nickname is chosen on another host.
 */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}

/** In characters, not in UTF-16 units. */
export function width(text: string): number {
  return [...text].length;
}

/** At most `columns` wide, with … for what was cut off. */
export function shorten(text: string, columns: number): string {
  const characters = [...text];
  return characters.length <= columns ? text : `${characters.slice(0, Math.max(0, columns - 1)).join("")}…`;
}

/**
 * Each line of `text` broken at spaces into lines of at most `columns`; the further ones begin with `indent`. A longer
 * word is not cut: paths and commands must stay whole.
 */
export function wrap(text: string, columns: number, indent = ""): string {
  return text
    .split("\n")
    .map((line) => wrapLine(plain(line), columns, indent))
    .join("\n");
}

function wrapLine(text: string, columns: number, indent: string): string {
  const [lead = ""] = /^ */.exec(text) ?? [];
  const lines: string[] = [];
  let line = lead;
  for (const word of text.trim().split(/ +/)) {
    if (line.trim() === "") line += word;
    else if (width(line) + 1 + width(word) <= columns) line += ` ${word}`;
    else {
      lines.push(line);
      line = indent + word;
    }
  }
  return [...lines, line].join("\n");
}

/** ISO 8601 without the fraction of a second: 2026-01-31T12:00:00Z. Other text is passed on. */
export function instant(text: string): string {
  return plain(text).replace(/^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z$/, "$1Z");
}

/** Text for JSON output; control characters that JSON lets pass are escaped, too. */
export function json(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
