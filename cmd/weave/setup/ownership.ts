// Whose a configuration file is: setup's as long as it is as setup wrote it, the user's as soon as the user has changed
// it.
import { lstatSync } from "node:fs";
import { basename } from "node:path";
import { isOurText } from "./contents.ts";
import { contentOf } from "./files.ts";
import type { Remembered } from "./remembered.ts";

export type Owner = "nobody" | "setup" | "user";

/** "setup" also for what an earlier setup wrote, or one that was killed before the last byte. */
export function ownerOf(path: string, remembered: Remembered): Owner {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return "nobody";
  if (!entry.isFile()) return "user"; // a link or directory is the user's own arrangement
  const text = contentOf(path)?.toString("utf8");
  if (text === undefined) return "nobody";
  const known = remembered.wrote(path, text) || remembered.wrote(path, `${text}\n`);
  return known || isOurText(basename(path), text) ? "setup" : "user";
}

/** Why a file of the user's is taken for one. */
export function howItDiffers(path: string, remembered: Remembered): string {
  return remembered.has(path) ? "it was changed since setup wrote it" : "it is not from this setup";
}
