// `weave prime`: waits until this host can give out addresses, for scripts that start containers right after launch.
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { z } from "zod";
import type { Status } from "../../src/api/status.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { runDirOption } from "../launch-options.ts";
import { type Context, MAX_COLUMNS } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { json, wrap } from "./text.ts";

const EXAMPLES = `
Returns when the cluster is founded or found, so that this host can give out addresses; at once when
that is so already. Says on stderr what is waited for, and again when that changes.

Examples:
  weave launch host1 host2 && weave prime
  weave prime --timeout 60 || weave status connections`;

const flags = z.object({ timeout: z.string().optional(), json: z.boolean().optional() });

const LOOK_MS = 250;
/** Most launches are there before a word is needed. */
const SILENT_MS = 1_000;

/** `weave prime`: wait for a ring. */
export function addPrime(program: Command, context: Context): Command {
  return program
    .command("prime")
    .description("Wait until this host can give out addresses")
    .option("--timeout <SECONDS>", "fail after so long (default: wait for ever)")
    .option("--json", "print {ranges} as JSON")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (options: unknown) => {
      const { timeout, json: asJson = false } = flags.parse(options);
      const limitMs = timeout === undefined ? Number.POSITIVE_INFINITY : readSeconds(timeout) * 1000;
      const { client } = daemonOf(options);
      const ranges = await untilPrimed(() => client.status(), limitMs, context);
      context.print(
        asJson ? json({ ranges }) : `ready: addresses of ${ranges.join(" and ")} can be given out`,
      );
    });
}

async function untilPrimed(
  ask: () => Promise<Status>,
  limitMs: number,
  { tell }: Pick<Context, "tell">,
): Promise<readonly string[]> {
  const from = performance.now();
  let told = "";
  for (;;) {
    const status = await ask();
    if (status.ipam.every(({ state }) => state === "ready")) return status.ipam.map(({ range }) => range);
    const waitedMs = performance.now() - from;
    const why = whatFor(status);
    if (waitedMs >= limitMs)
      throw new WeaveError("timeout", `no ring after ${limitMs / 1000} s: ${why}`, {
        hint: "run: weave status connections",
      });
    if (waitedMs >= SILENT_MS && why !== told) {
      tell(wrap(`weave: waiting: ${why}`, MAX_COLUMNS, "  "));
      told = why;
    }
    await delay(Math.min(LOOK_MS, Math.max(limitMs - waitedMs, 1)));
  }
}

function whatFor({ problems }: Status): string {
  const found =
    problems.find(({ code }) => code === "founding" || code === "waiting-for-peers") ?? problems[0];
  return found?.message ?? "the cluster is being founded";
}

function readSeconds(text: string): number {
  if (/^\d{1,6}(\.\d{1,3})?$/.test(text)) return Number(text);
  throw new WeaveError("bad-request", `--timeout ${text} is not a number of seconds`);
}
