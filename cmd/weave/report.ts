// `weave report`: all the daemon knows as JSON, or what a format picks of it (report/format.ts).
import type { Command } from "commander";
import { z } from "zod";
import { runDirOption } from "../launch-options.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { formatReport, parseFormat } from "./report/format.ts";
import { json, plain } from "./text.ts";

const EXAMPLES = `
Without a format: the status (weave status --json) with targets, holders of addresses, what the
kernel lacks, and what the process takes.

A FORMAT is a path, or text with paths in {{ }}. A path begins with a dot: names and numbers of list
elements with dots between, [] for every element. "." is all. Texts and numbers are printed as they
are, everything else as JSON; a list that comes of [] has a line for each element, within {{ }} a
space.

Examples:
  weave report > report.json
  weave report -f .version
  weave report -f '.peers[].nickname'
  weave report -f '{{.nickname}} uses {{.ipam.0.used}} of {{.ipam.0.range}}'
  weave report -f '{{.connections[].address}}'`;

const flags = z.object({ format: z.string().optional() });

/** `weave report`: everything, for scripts and for whoever looks for a fault. */
export function addReport(program: Command, context: Context): Command {
  return program
    .command("report")
    .description("Print everything the daemon knows, as JSON or in a format")
    .option("-f, --format <FORMAT>", "print this of it: .path.0.name, .list[].name, or text with {{.path}}")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (options: unknown) => {
      const { format } = flags.parse(options);
      const parsed = format === undefined ? undefined : parseFormat(format);
      const report = await daemonOf(options).client.report();
      if (parsed === undefined) context.print(json(report));
      else context.print(formatReport(parsed, report).split("\n").map(plain).join("\n"));
    });
}
