// The process that reads the kernel for `weave doctor`: one line of JSON for each part as soon as it is read. A process of
// its own, so that a call the kernel never answers can be left behind. Bundled on its own (dist/lib/kernel-survey.js); the
// only argument is the bridge's name.
import { WeaveError } from "../../core/errors.ts";
import { readers } from "./read.ts";

const [, , bridge = ""] = process.argv;

for (const [part, read] of Object.entries(readers)) {
  read(bridge).then(
    (value) => print({ part, value }),
    (error: unknown) => print({ part, failure: explain(error) }),
  );
}

function print(line: { part: string; value?: unknown; failure?: string }): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof WeaveError && error.hint !== undefined ? `${message}; ${error.hint}` : message;
}
