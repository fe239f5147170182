// The kernel as src/kernel/survey reads it, in a process of its own that is ended when it takes too long.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { BRIDGE } from "../../../../src/daemon/config.ts";
import { line, type Part, type PartName, parts } from "../../../../src/kernel/survey/parts.ts";

/** It takes a tenth of a second; firewall-cmd half a one. */
const PATIENCE_MS = 7_000;

/** What came of a part. */
type Answer = { readonly value: unknown } | { readonly failure: string };

/** What came of each part, and why there is nothing of the others. */
interface Told {
  readonly parts: ReadonlyMap<string, Answer>;
  readonly otherwise: string;
}

/** A reader of parts; the process is started with the first, and answers for all. `program` is its bundle. */
export function kernelSurvey(
  program: string,
  patienceMs = PATIENCE_MS,
): <K extends PartName>(part: K) => Promise<Part<K>> {
  let told: Promise<Told> | undefined;
  return async (part) => {
    told ??= survey(program, patienceMs);
    const { parts: answers, otherwise } = await told;
    const answer = answers.get(part) ?? { failure: otherwise };
    if ("failure" in answer) throw new Error(answer.failure);
    return parse(part, answer.value);
  };
}

function parse<K extends PartName>(part: K, value: unknown): Part<K> {
  // parts[K] is the schema whose output Part<K> is; the compiler does not follow that through the index.
  return parts[part].parse(value) as Part<K>;
}

/** Never rejects: what is not told is missing. */
function survey(program: string, patienceMs: number): Promise<Told> {
  return new Promise((resolve) => {
    const told = new Map<string, Answer>();
    const late = `the kernel was not read within ${patienceMs / 1000} s`;
    const child = spawn(process.execPath, [program, BRIDGE], {
      stdio: ["ignore", "pipe", "ignore"],
      timeout: patienceMs,
      killSignal: "SIGKILL",
    });
    // A process that hangs inside the kernel does not die of a signal: it is not waited for.
    const leave = setTimeout(() => {
      child.stdout.destroy();
      child.unref();
      resolve({ parts: told, otherwise: late });
    }, patienceMs + 500);
    const end = (): void => {
      clearTimeout(leave);
      const otherwise = child.killed ? late : `${program} ended early; was weave built whole?`;
      resolve({ parts: told, otherwise });
    };
    createInterface({ input: child.stdout }).on("line", (text) => {
      const { part, value, failure } = line.safeParse(parseJson(text)).data ?? { part: "" };
      told.set(part, failure === undefined ? { value } : { failure });
    });
    child.once("error", end);
    child.once("close", end);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
