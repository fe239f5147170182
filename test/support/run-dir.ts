// For tests of the verbs that talk to a daemon: a run directory for each test, and a stand-in for the daemon in it.
import { afterEach, beforeEach, vi } from "vitest";
import {
  type Answers,
  type StandIn,
  standInDaemon,
  temporaryDirectory,
} from "../../cmd/weave/testing/harness.ts";

/** A test's run directory, and the stand-in that answers in it. */
export interface RunDir {
  readonly path: string;
  /** What the stand-in was asked, in order; nothing without one. */
  readonly calls: readonly string[];
  /** A stand-in answers from now on. */
  serve(answers: Answers, onCall?: (path: string) => void): Promise<void>;
  /** Nobody answers any more. */
  hangUp(): Promise<void>;
}

/** A run directory of its own, in WEAVE_RUN_DIR, for each test of the file that calls this at its top. */
export function ownRunDir(): RunDir {
  let directory: ReturnType<typeof temporaryDirectory>;
  let daemon: StandIn | undefined;
  beforeEach(() => {
    directory = temporaryDirectory();
    vi.stubEnv("WEAVE_RUN_DIR", directory.path);
  });
  afterEach(async () => {
    await daemon?.close();
    daemon = undefined;
    directory.remove();
    vi.unstubAllEnvs();
  });
  return {
    get path() {
      return directory.path;
    },
    get calls() {
      return daemon?.calls ?? [];
    },
    async serve(answers, onCall) {
      daemon = await standInDaemon(directory.path, answers, onCall);
    },
    async hangUp() {
      await daemon?.close();
    },
  };
}
