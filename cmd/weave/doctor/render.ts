// `weave doctor` as text: the verdict, each finding with the command that mends it, and the table of what was looked at.
import { MAX_COLUMNS } from "../context.ts";
import { count } from "../status/names.ts";
import { type Column, table } from "../status/table.ts";
import { plain, width, wrap } from "../text.ts";
import type { Finding } from "./finding.ts";
import type { DoctorReport } from "./report.ts";

const COLUMNS: readonly Column<DoctorReport["checks"][number]>[] = [
  { title: "CHECK", cell: ({ name }) => name },
  { title: "STATE", cell: ({ state }) => state },
  { title: "SAW", cell: ({ saw }) => saw, least: 20 },
];

/** The whole text, without the last newline. */
export function renderDoctor({ ok, findings, notes, checks }: DoctorReport): string {
  const verdict = ok
    ? "OK: nothing is wrong on this host"
    : `PROBLEM: ${count(findings.length, "thing")} to mend on this host`;
  return [
    [verdict, ...findings.map((each) => findingText("", each))].join("\n"),
    ...(notes.length === 0 ? [] : [notes.map((each) => findingText("note ", each)).join("\n")]),
    table(COLUMNS, checks),
  ].join("\n\n");
}

function findingText(prefix: string, { code, message, command }: Finding): string {
  const told = wrap(`  ${prefix}${code}: ${message}`, MAX_COLUMNS, "    ");
  return `${told}\n${wrapCommand(`    run: ${plain(command)}`, MAX_COLUMNS, "         ")}`;
}

/**
 * As wrap, for a command that a person copies: a line that goes on ends with a backslash, and what stands in quotes is not
 * broken. A longer word is not cut.
 */
export function wrapCommand(text: string, columns: number, indent: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.match(/(?:'[^']*'|\S)+|^ +/g) ?? []) {
    const longer = line === "" || line.trim() === "" ? line + word : `${line} ${word}`;
    if (width(longer) <= columns - 2 || line.trim() === "") {
      line = longer;
      continue;
    }
    lines.push(`${line} \\`);
    line = indent + word;
  }
  return [...lines, line].join("\n");
}
