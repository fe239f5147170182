// Commands of the bench. After `refuse` no more are started, so that what is being removed is not made again.

import { run } from "../run.mjs";

/** Of the machine's environment, plugins and programs get nothing else. */
export const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const underWay = new Set();
let refused = false;

/** Runs a command that must succeed; its output, trimmed. */
export async function must(program, args, options = {}) {
  if (refused) throw new Error("the bench is ending");
  return mustEnd(program, args, options);
}

/** The same while the bench ends. */
export async function mustEnd(program, args, options = {}) {
  const running = run(program, args, { capture: true, timeoutMs: 60_000, ...options });
  underWay.add(running);
  const { code, output } = await running.finally(() => underWay.delete(running));
  if (code !== 0) throw new Error(`${[program, ...args].join(" ")}\n${output.trimEnd()}`);
  return output.trim();
}

/** Resolves when no command is under way and none will be. */
export async function refuse() {
  refused = true;
  await Promise.allSettled(underWay);
}
