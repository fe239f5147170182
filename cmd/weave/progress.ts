// For what may take long: silence for a second, then a word on stderr about what is waited for.
import type { Context } from "./context.ts";

const AFTER_MS = 1_000;

/** `what` is asked when it is needed, and left out when it fails. */
export async function withProgress<T>(
  work: Promise<T>,
  { tell }: Pick<Context, "tell">,
  what: () => string | Promise<string>,
): Promise<T> {
  let done = false;
  const timer = setTimeout(() => {
    Promise.resolve()
      .then(what)
      .then((text) => done || tell(`weave: ${text}`))
      .catch(() => undefined);
  }, AFTER_MS);
  try {
    return await work;
  } finally {
    done = true;
    clearTimeout(timer);
  }
}
