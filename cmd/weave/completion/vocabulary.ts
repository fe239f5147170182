// What can be completed: the verbs with their options and words, read off the command tree, so that nothing is listed twice.
import type { Command, Option } from "commander";

/** One verb. */
export interface Verb {
  readonly name: string;
  readonly description: string;
  readonly options: readonly Flag[];
  /** What may follow it, besides what the user makes up. */
  readonly words: readonly string[];
  /** Names of peers may follow it. */
  readonly takesPeers: boolean;
}

/** One option. */
export interface Flag {
  /** With its dashes. */
  readonly long: string;
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

/** Verbs that are about peers the daemon knows. */
const WITH_PEERS: ReadonlySet<string> = new Set(["rmpeer", "forget"]);

/** `sections` are the words of `weave status` that are no verbs of their own. */
export function vocabularyOf(
  program: Command,
  words: Readonly<Record<string, readonly string[]>>,
): readonly Verb[] {
  return program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: [command, ...command.commands].flatMap(flagsOf).filter(isFirst),
    words: [...(words[command.name()] ?? []), ...command.commands.map((sub) => sub.name())],
    takesPeers: WITH_PEERS.has(command.name()),
  }));
}

function flagsOf({ options }: Command): Flag[] {
  const shown = options.filter((option) => !option.hidden).flatMap(flagOf);
  return [...shown, { long: "--help", description: "show its help", takesValue: false, choices: [] }];
}

function flagOf({ long, description, required, optional, argChoices }: Option): Flag[] {
  if (long === undefined || long === null) return [];
  return [{ long, description, takesValue: required || optional, choices: argChoices ?? [] }];
}

const isFirst = ({ long }: Flag, at: number, all: readonly Flag[]): boolean =>
  all.findIndex((flag) => flag.long === long) === at;
