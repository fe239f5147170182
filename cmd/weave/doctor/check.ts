// A check is two functions: one reads facts from the host, the other judges them and touches nothing.
import type { Status } from "../../../src/api/status.ts";
import type { WeaveError } from "../../../src/core/errors.ts";
import type { Part, PartName } from "../../../src/kernel/survey/parts.ts";
import type { Finding } from "./finding.ts";

/** What the checks have of the host they look at. */
export interface Surroundings {
  /** Version of this weave. */
  readonly version: string;
  /** Where the host's files are: "/", elsewhere in tests. */
  readonly root: string;
  readonly runDir: string;
  readonly dataDir: string;
  /** Of the control port, as the daemon has it or would be given it. */
  readonly port: number;
  /** Ranges named on the command line. */
  readonly range: readonly string[] | undefined;
  readonly cniConfDir: string | undefined;
  readonly cniBinDirs: readonly string[] | undefined;
  /** Asked once. Resolves with why there is none. */
  readonly status: () => Promise<Status | WeaveError>;
  /** Read once. Rejects with why it could not be read. */
  readonly kernel: <K extends PartName>(part: K) => Promise<Part<K>>;
}

/** What a check makes of its facts. */
export interface Verdict {
  readonly findings: readonly Finding[];
  readonly notes?: readonly Finding[];
  /** What was looked at and how it was, in a few words. */
  readonly saw: string;
}

/** A check, ready to run. */
export interface Check {
  readonly name: string;
  readonly run: (around: Surroundings) => Promise<Verdict>;
}

/** Ties a reader to its judge. */
export function defineCheck<Facts>(
  name: string,
  read: (around: Surroundings) => Promise<Facts>,
  judge: (facts: Facts) => Verdict,
): Check {
  return { name, run: async (around) => judge(await read(around)) };
}

/** The daemon's status; undefined when it cannot be asked. */
export async function statusOf(around: Surroundings): Promise<Status | undefined> {
  const answer = await around.status();
  return answer instanceof Error ? undefined : answer;
}
