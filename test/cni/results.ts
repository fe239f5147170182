// Reading results of any version: what cases ask of them.
import { isObject, type JsonObject } from "../kernel/support/namespaces.ts";

/** The first address of a result, without prefix. */
export function addressOf(result: JsonObject): string {
  const [first] = listOf(result, "ips");
  const family = isObject(result["ip4"]) ? result["ip4"]["ip"] : undefined;
  return String(first?.["address"] ?? family).split("/")[0] ?? "";
}

/** A list of objects in a result. */
export function listOf(result: JsonObject, key: string): readonly JsonObject[] {
  const value = result[key];
  return Array.isArray(value) ? value.filter(isObject) : [];
}
