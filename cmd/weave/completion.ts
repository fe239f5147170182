// `weave completion`: a script that has a shell complete verbs, options and names of peers.
import type { Command } from "commander";
import { WeaveError } from "../../src/core/errors.ts";
import { runDirOption } from "../launch-options.ts";
import { SHELLS, scriptFor } from "./completion/shells.ts";
import { vocabularyOf } from "./completion/vocabulary.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { SECTIONS } from "./status.ts";

const EXAMPLES = `
Prints a script for the shell. Verbs and options are part of it: load it again after an upgrade.
Names of peers (weave rmpeer) are asked of the daemon.

Examples:
  source <(weave completion bash)                                  in this shell
  weave completion bash > /etc/bash_completion.d/weave             in every one
  weave completion zsh > "\${fpath[1]}/_weave"
  weave completion fish > ~/.config/fish/completions/weave.fish`;

/** Somebody waits with a finger on the tab key. */
const PATIENCE_MS = 1_000;
/** What the scripts call to get names of peers. */
const PEERS = "peers";

/** `weave completion`: for bash, zsh and fish. */
export function addCompletion(program: Command, context: Context): Command {
  return program
    .command("completion")
    .description("Print a script that completes weave's commands in a shell")
    .argument("<SHELL>", SHELLS.join(", "))
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (wanted: string, options: unknown) => {
      if (wanted === PEERS) {
        await printPeers(options, context);
        return;
      }
      const shell = SHELLS.find((name) => name === wanted);
      if (shell === undefined)
        throw new WeaveError("bad-request", `there is no completion for "${wanted}"`, {
          hint: `there is one for: ${SHELLS.join(", ")}`,
        });
      const words = { status: SECTIONS, completion: SHELLS };
      context.print(scriptFor(shell, vocabularyOf(program, words)));
    });
}

/** Nothing where nobody answers: an error would end up in the middle of a command line. */
async function printPeers(options: unknown, { print }: Pick<Context, "print">): Promise<void> {
  const status = await daemonOf(options, PATIENCE_MS)
    .client.status()
    .catch(() => undefined);
  for (const { self, nickname, name } of status?.peers ?? []) {
    const shown = nickname === "" ? name : nickname;
    if (!self && /^[\w.-]+$/.test(shown)) print(shown);
  }
}
