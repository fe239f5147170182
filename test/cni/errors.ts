// What every case asks of a failure.
import { expect } from "vitest";
import type { PluginAnswer } from "../support/container.ts";
import { PluginFailure } from "../support/libcni/libcni.ts";

/** What a call that must fail failed with. */
export async function failureOf(call: Promise<unknown>): Promise<PluginFailure> {
  const outcome = await call.then(
    (value) => new Error(`it succeeded: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (outcome instanceof PluginFailure) return outcome;
  throw outcome;
}

/** Case 17 for every error: one JSON object on stdout, numeric code, a message of one line, a failing exit. */
export function expectError(
  answer: Pick<PluginAnswer, "exit" | "stdout" | "json">,
  code: number | readonly number[],
  ...says: readonly string[]
): void {
  expect(answer.exit, answer.stdout).toBeGreaterThan(0);
  expect(answer.exit).toBeLessThan(126);
  const parsed: unknown = JSON.parse(answer.stdout);
  expect(parsed).toMatchObject({
    cniVersion: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    code: expect.any(Number),
    msg: expect.stringMatching(/^[^\n]*\w[^\n]*$/),
  });
  expect(answer.stdout).not.toMatch(/ at .*\.[jt]s:\d+/);
  expect([code].flat(), answer.stdout).toContain(answer.json["code"]);
  const said = `${String(answer.json["msg"])} ${String(answer.json["details"] ?? "")}`;
  for (const text of says) expect(said).toContain(text);
}
