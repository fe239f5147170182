// The formats of `weave report -f`: a path like jq's, or text with paths in {{ }} like Weave Net's templates. Nothing is
// computed; whoever needs more pipes the JSON into jq.
import { z } from "zod";
import { WeaveError } from "../../../src/core/errors.ts";

/** A name, the number of a list element, or every element. */
type Step = string | number | "[]";
interface Path {
  readonly text: string;
  readonly steps: readonly Step[];
}
/** Text and paths in turn; a single path has lines of its own. */
export type Format = { readonly path: Path } | { readonly parts: readonly (string | Path)[] };

const object = z.record(z.string(), z.unknown());

/** Throws bad-request. */
export function parseFormat(text: string): Format {
  if (!text.includes("{{")) return { path: parsePath(text) };
  const parts: (string | Path)[] = [];
  let rest = text;
  for (let at = rest.indexOf("{{"); at >= 0; at = rest.indexOf("{{")) {
    const end = rest.indexOf("}}", at);
    if (end < 0) throw bad(text, '"{{" has no "}}"');
    parts.push(rest.slice(0, at), parsePath(rest.slice(at + 2, end).trim()));
    rest = rest.slice(end + 2);
  }
  return { parts: [...parts, rest] };
}

function parsePath(text: string): Path {
  if (text === ".") return { text, steps: [] };
  if (!/^(\.[A-Za-z0-9_-]+|\[\]|\.\[\]|\[\d+\])+$/.test(text) || !text.startsWith("."))
    throw bad(text, "a path is like .ipam.0.range or .peers[].nickname");
  const words = text.match(/[A-Za-z0-9_-]+|\[\]/g) ?? [];
  return { text, steps: words.map((word) => (/^\d+$/.test(word) ? Number(word) : word)) };
}

/** Throws bad-request for a path that leads nowhere, naming what there is. */
export function formatReport(format: Format, report: unknown): string {
  if ("path" in format) return valuesAt(format.path, report).map(show).join("\n");
  return format.parts
    .map((part) => (typeof part === "string" ? part : valuesAt(part, report).map(show).join(" ")))
    .join("");
}

function valuesAt({ text, steps }: Path, report: unknown): readonly unknown[] {
  let values: readonly unknown[] = [report];
  let isMany = false;
  for (const step of steps) {
    // Of many some may lack an optional member; that all do is a mistake.
    const having = isMany ? values.filter((value) => typeof step === "number" || has(value, step)) : values;
    values = (having.length === 0 ? values : having).flatMap((value) => follow(value, step, text));
    isMany ||= step === "[]";
  }
  return values;
}

function follow(value: unknown, step: Step, path: string): readonly unknown[] {
  if (Array.isArray(value)) {
    const list: readonly unknown[] = value;
    if (step === "[]") return list;
    if (typeof step === "number" && step < list.length) return [list[step]];
    throw bad(path, `there is a list of ${list.length} at "${step}": write [] or a number below that`);
  }
  const members = object.safeParse(value).data;
  if (members === undefined) throw bad(path, `nothing is below ${show(value)}`);
  if (Object.hasOwn(members, String(step))) return [members[String(step)]];
  const names = Object.keys(members).join(", ");
  throw bad(path, `there is no "${step}"; there is: ${names}`);
}

const has = (value: unknown, step: string): boolean =>
  Array.isArray(value) || Object.hasOwn(object.safeParse(value).data ?? {}, step);

const show = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

const bad = (text: string, why: string): WeaveError =>
  new WeaveError("bad-request", `--format ${text}: ${why}`, { hint: "see: weave report --help" });
