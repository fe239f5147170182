// For tests of the verbs: the program run inside this process with its output caught, and a stand-in for the daemon
// behind a unix socket. The real daemon takes part in test/e2e.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "../context.ts";
import { run } from "../program.ts";

/** What a call of the program printed, and its exit code. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** A directory for one test; `remove` afterwards. */
export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "weave-cli-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A context that remembers. */
function recorder(programs = "/nonexistent", typed?: string): { context: Context; outcome(): Outcome } {
  const out: string[] = [];
  const err: string[] = [];
  let code = 0;
  return {
    context: {
      version: "0.1.0",
      programs,
      print: (text) => out.push(`${text}\n`),
      tell: (text) => err.push(`${text}\n`),
      ask: async (question) => {
        if (typed !== undefined) err.push(question);
        return typed;
      },
      setExitCode: (value) => {
        code = value;
      },
    },
    outcome: () => ({ stdout: out.join(""), stderr: err.join(""), code }),
  };
}

/** `weave WORDS...`; `typed`: what a person answers who is asked. */
export async function weave(words: readonly string[], programs?: string, typed?: string): Promise<Outcome> {
  const { context, outcome } = recorder(programs, typed);
  await run(words, context, false);
  return outcome();
}

/** A server in the place of the daemon. */
export interface StandIn {
  /** "POST /v1/connect {...}", in order. */
  readonly calls: string[];
  close(): Promise<void>;
}

/** What a stand-in answers, by path: status code and value. */
export type Answers = Readonly<Record<string, readonly [number, unknown]>>;

/** Answers in the socket of a run directory. */
export function standInDaemon(
  runDir: string,
  answers: Answers,
  onCall: (path: string) => void = () => undefined,
): Promise<StandIn> {
  const calls: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      calls.push(`${request.method} ${request.url} ${body}`.trimEnd());
      const [code, value] = answers[request.url ?? ""] ?? [
        404,
        { code: "internal", message: "unknown path" },
      ];
      response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(value));
      onCall(request.url ?? "");
    });
  });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return new Promise((resolve) => server.listen(join(runDir, "weave.sock"), () => resolve({ calls, close })));
}
