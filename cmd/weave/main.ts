// The executable `weave`: hands the process to the program and nothing else.
import { dirname } from "node:path";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { hidePasswordWord } from "../password.ts";
import { run } from "./program.ts";

/** Defined by the build. */
declare const WEAVE_VERSION: string;

hidePasswordWord("weave");

// A reader that goes away (`weave status | head -1`) is not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

await run(
  process.argv.slice(2),
  {
    version: WEAVE_VERSION,
    // Node has resolved symbolic links: this is the directory of the real file, whatever link in PATH was called.
    programs: dirname(fileURLToPath(import.meta.url)),
    print: (text) => process.stdout.write(`${text}\n`),
    tell: (text) => process.stderr.write(`${text}\n`),
    ask: askPerson,
    setExitCode: (code) => {
      process.exitCode = code;
    },
  },
  Boolean(process.env["WEAVE_DEBUG"]),
);

async function askPerson(question: string): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-D closes it without an answer.
  const closed = new Promise<undefined>((resolve) => terminal.once("close", () => resolve(undefined)));
  try {
    return await Promise.race([terminal.question(question), closed]);
  } finally {
    terminal.close();
  }
}
