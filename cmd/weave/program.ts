// The command `weave` as a whole: its verbs, and how a wrong command line is answered.
import { Command } from "commander";
import { EXIT } from "../exit-code.ts";
import { addAttach } from "./attach.ts";
import { addCompletion } from "./completion.ts";
import { addConnect } from "./connect.ts";
import { type Context, MAX_COLUMNS } from "./context.ts";
import { addDetach } from "./detach.ts";
import { addDoctor } from "./doctor.ts";
import { addExpose } from "./expose.ts";
import { reportFailure } from "./failure.ts";
import { addForget } from "./forget.ts";
import { addHide } from "./hide.ts";
import { addLaunch } from "./launch.ts";
import { addPrime } from "./prime.ts";
import { addPs } from "./ps.ts";
import { addReport } from "./report.ts";
import { addReset } from "./reset.ts";
import { addRmpeer } from "./rmpeer.ts";
import { addSetup } from "./setup.ts";
import { addStatus } from "./status.ts";
import { addStop } from "./stop.ts";
import { wrap } from "./text.ts";
import { addVersion } from "./version.ts";

const FOOTER = `
A first network, as root:
  on every host      weave setup
  on the first       weave launch
  on the others      weave launch FIRST-HOST
  on every host      weave expose
  anywhere           weave status

When something does not work:  weave doctor, on that host

A host that goes:      weave reset, on that host
A host that is dead:   weave rmpeer HOST, on another one

Every verb has --help with examples. The variables WEAVE_RUN_DIR and WEAVE_DATA_DIR stand for the
options --run-dir and --data-dir.
Exit codes: 0 done; 1 failed, or status or doctor found a problem; 2 the command line is wrong.
WEAVE_DEBUG=1 shows the stack of an error.`;

/** The verbs in the order of the help. */
const GROUPS: readonly (readonly [string, readonly ((program: Command, context: Context) => Command)[]])[] = [
  ["This host:", [addSetup, addLaunch, addPrime, addConnect, addForget, addReset, addStop, addDoctor]],
  ["Addresses and containers:", [addExpose, addHide, addAttach, addDetach, addPs]],
  ["The network as a whole:", [addStatus, addReport, addRmpeer]],
  ["This program:", [addCompletion, addVersion]],
];

/** Runs one command line (without node and script). Never throws. */
export async function run(words: readonly string[], context: Context, debug: boolean): Promise<void> {
  try {
    const program = createProgram(context);
    if (words.length === 0) {
      context.tell(program.helpInformation().trimEnd());
      context.setExitCode(EXIT.usage);
      return;
    }
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    context.setExitCode(reportFailure(error, context, debug));
  }
}

function createProgram(context: Context): Command {
  const program = new Command("weave")
    .description("A container network across hosts.")
    .version(`weave ${context.version}`, "--version", "show the version of weave")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [verb]", "show help of a verb")
    .addHelpText("after", FOOTER)
    .exitOverride()
    .configureHelp({ helpWidth: MAX_COLUMNS })
    .configureOutput({
      writeOut: (text) => context.print(text.replace(/\n$/, "")),
      writeErr: (text) => context.tell(text.replace(/\n$/, "")),
      // Commander's own words ("error: unknown option '--jason'\n(Did you mean --json?)") in the form of all our errors.
      outputError: (text, write) =>
        write(wrap(text.replace(/^error: /, "weave: ").replace(/\n(?=.)/g, "\n  "), MAX_COLUMNS, "  ")),
    });
  for (const [group, verbs] of GROUPS) {
    for (const add of verbs) {
      const verb = add(program, context).helpGroup(group);
      verb.showHelpAfterError(`  see: weave ${verb.name()} --help`);
    }
  }
  return program.showHelpAfterError("  see: weave --help");
}
