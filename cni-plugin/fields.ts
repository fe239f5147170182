// Members of outside objects by name, without regard to case when they are not there exactly: containerd sends the members
// of runtimeConfig capitalised, and decoders written in Go do not notice.
import { CniCode, CniError } from "./errors.ts";

/** undefined for null and for what is no object. */
export function field(object: unknown, name: string): unknown {
  if (typeof object !== "object" || object === null || Array.isArray(object)) return undefined;
  const entries = Object.entries(object);
  const found =
    entries.find(([key]) => key === name) ??
    entries.find(([key]) => key.toLowerCase() === name.toLowerCase());
  return found?.[1] ?? undefined;
}

/** A list; empty for undefined. Code 7 for anything else. */
export function list(where: string, value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw new CniError(CniCode.badConfig, `${where}: a list was expected`);
}

/** Text, trimmed; "" for undefined. Code 7 for anything else. */
export function text(where: string, value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value.trim();
  throw new CniError(CniCode.badConfig, `${where}: ${JSON.stringify(value)} is not text`);
}

/** A whole number from `least` to `most`; undefined for undefined. Code 7 for anything else. */
export function integer(where: string, value: unknown, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new CniError(
    CniCode.badConfig,
    `${where}: ${JSON.stringify(value)} is not a whole number from ${least} to ${most}`,
  );
}
