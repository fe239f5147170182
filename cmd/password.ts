// The password of the mesh on a command line, in the environment or in a file: the same for `weave launch` and `weaver`.
// It is no part of LaunchOptions, which are printed and logged; it goes from here to the key and nowhere else.
import { readFileSync, statSync } from "node:fs";
import type { Command } from "commander";
import { z } from "zod";
import { WeaveError } from "../src/core/errors.ts";

const VARIABLE = "WEAVE_PASSWORD";
/** Ours: more is a file given by mistake. */
const MAX_BYTES = 1024;

const given = z.object({ password: z.string().optional(), passwordFile: z.string().optional() });

/** Declares `--password` and `--password-file`. */
export function addPasswordOptions(command: Command): Command {
  return command
    .option(
      "--password <PASSWORD>",
      `what peers must prove to know; encrypts the mesh, not containers' packets (or ${VARIABLE}). Shown by ps for a moment: better a file`,
    )
    .option("--password-file <FILE>", "the same from a file; every launch needs it again");
}

/**
 * The password to use: of an option, or else of WEAVE_PASSWORD, which is removed from `env` so that no child inherits it. An empty
 * variable is none. Throws bad-request; no message contains the password.
 */
export function takePassword(
  options: unknown,
  env: NodeJS.ProcessEnv,
): { readonly password: string | undefined; readonly warnings: readonly string[] } {
  const inherited = env[VARIABLE] || undefined;
  delete env[VARIABLE];
  const { password, passwordFile } = given.parse(options);
  if (password !== undefined && passwordFile !== undefined) {
    throw new WeaveError("bad-request", "both --password and --password-file are given; give one of them");
  }
  if (passwordFile !== undefined) return readPasswordFile(passwordFile);
  if (password !== undefined) return { password: checked(password, "--password"), warnings: [] };
  return { password: inherited === undefined ? undefined : checked(inherited, VARIABLE), warnings: [] };
}

/** For the child that is to have it: `takePassword` reads it there. */
export function passwordEnvironment(password: string | undefined): Readonly<Record<string, string>> {
  return password === undefined ? {} : { [VARIABLE]: password };
}

/**
 * Takes the words of this process from /proc, where every user can read them, when one of them is a password. They were there
 * while Node started; only a file or the environment avoids that.
 */
export function hidePasswordWord(title: string): void {
  if (process.argv.some((word) => /^--password(=|$)/.test(word))) process.title = title;
}

function readPasswordFile(path: string): { password: string; warnings: readonly string[] } {
  const option = `--password-file ${path}`;
  const { text, mode } = readSmall(path, option);
  // The newline that every editor leaves at the end.
  const password = checked(text.replace(/\r?\n$/, ""), option);
  const warnings =
    (mode & 0o077) === 0 ? [] : [`${path} may be read by others than its owner; run: chmod 600 ${path}`];
  return { password, warnings };
}

function readSmall(path: string, option: string): { text: string; mode: number } {
  try {
    const found = statSync(path);
    if (found.isFile() && found.size > MAX_BYTES + 2) throw tooLong(option);
    return { text: readFileSync(path, "utf8"), mode: found.mode };
  } catch (error) {
    if (error instanceof WeaveError || !(error instanceof Error)) throw error;
    throw new WeaveError("bad-request", `${option}: ${error.message}`, {
      hint: "give a file that holds the password in one line",
      cause: error,
    });
  }
}

function checked(password: string, from: string): string {
  if (password === "") {
    throw new WeaveError("bad-request", `${from}: the password is empty`, {
      hint: "leave the option out for a mesh without a password; a good one: openssl rand -base64 24",
    });
  }
  if (/[\0\r\n]/.test(password))
    throw new WeaveError("bad-request", `${from}: the password has several lines`);
  if (Buffer.byteLength(password) > MAX_BYTES) throw tooLong(from);
  return password;
}

const tooLong = (from: string): WeaveError =>
  new WeaveError("bad-request", `${from}: the password is longer than ${MAX_BYTES} bytes`);
