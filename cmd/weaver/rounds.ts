// When the plugin reconciles: each minute, and twice after containers were added, since plugins behind ours in a chain may
// change their MAC within the first moments.

const EVERY_MS = 60_000;
/** A chain of four reference plugins takes 20 to 200 ms. */
const SOON_MS = 500;
/** For a machine under load, and for a storm of additions that keeps the first waiting. */
const LATER_MS = 3_000;

export interface Rounds {
  /** A container was added. */
  added(): void;
  /** Resolves when a round under way has ended. */
  stop(): Promise<void>;
}

/** `round` must not throw. Rounds do not overlap. */
export function startRounds(round: () => Promise<void>): Rounds {
  let tail = Promise.resolve();
  const go = (): void => {
    tail = tail.then(round);
  };
  const every = setInterval(go, EVERY_MS);
  let soon: NodeJS.Timeout | undefined;
  let later: NodeJS.Timeout | undefined;
  return {
    added() {
      clearTimeout(soon);
      soon = setTimeout(go, SOON_MS);
      later ??= setTimeout(() => {
        later = undefined;
        go();
      }, LATER_MS);
    },
    async stop() {
      clearInterval(every);
      clearTimeout(soon);
      clearTimeout(later);
      await tail;
    },
  };
}
