// JSON as Go writes it, for what plugins get to read, and the capitals of containerd.
import { isObject } from "../../kernel/support/namespaces.ts";

/** Members sorted at every depth; `<`, `>` and `&` escaped; members that are undefined left out. */
export function goJson(value: unknown): string {
  const escapes: Readonly<Record<string, string>> = { "<": "\\u003c", ">": "\\u003e", "&": "\\u0026" };
  return JSON.stringify(sorted(value)).replaceAll(/[<>&]/g, (one) => escapes[one] ?? one);
}

/**
 * Capability arguments as containerd sends them: it has no names for the members of its structures, so they arrive
 * with capitals ("HostPort"), and without those it does not know. The capabilities' own names stay.
 */
export function capitalised(capabilityArgs: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(capabilityArgs).map(([name, value]) => [name, capitals(value)]));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}

function capitals(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(capitals);
  if (!isObject(value)) return value;
  const upper = (key: string): string => key.charAt(0).toUpperCase() + key.slice(1);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [upper(key), capitals(member)]));
}
