// `weave status cni`: whether kubelet will use weave on this host, and what is in the way. Needs no daemon.
import type { Command } from "commander";
import { z } from "zod";
import { EXIT } from "../../exit-code.ts";
import { dataDirOption, readDirectories } from "../../launch-options.ts";
import { type Context, MAX_COLUMNS } from "../context.ts";
import { DEFAULT_BIN_DIR, DEFAULT_CONF_DIR } from "../setup/places.ts";
import { json } from "../text.ts";
import { gather } from "./cni/gather.ts";
import { renderCni } from "./cni/render.ts";

const EXAMPLES = `
The first line is "OK: kubelet will use weave", or "PROBLEM: " and why not; each problem follows
with the command to run next. Exit code 0 when it is OK, 1 when there is a problem. Runs each plugin
once with CNI_COMMAND=VERSION, as runtimes do, and asks weave-net's daemon.

Kubelet, containerd and CRI-O take the first file by name. By default each plugin directory is taken
for that of some runtime, and one of them must have all plugins; directories that are named are
searched together.

Examples:
  weave status cni
  weave status cni --cni-bin-dir /usr/lib/cni            containerd of Debian looks there
  weave status cni --cni-bin-dir /opt/cni/bin --cni-bin-dir /usr/libexec/cni      both, as for CRI-O
  weave status cni --json | jq .problems`;

const flags = z.object({
  json: z.boolean().optional(),
  cniConfDir: z.string().optional(),
  cniBinDir: z.array(z.string()).optional(),
});

/** `status` is the command it belongs to; --json and --run-dir are options of that one. */
export function addStatusCni(status: Command, context: Context): void {
  status
    .command("cni")
    .description("Show which network kubelet will use, and whether its plugins are there")
    .option("--cni-conf-dir <DIR>", `networks (default: where setup wrote last, else ${DEFAULT_CONF_DIR})`)
    .option(
      "--cni-bin-dir <DIR>",
      `plugins, may be repeated (default: those of setup, ${DEFAULT_BIN_DIR} and /usr/lib/cni)`,
      (directory: string, before: string[] = []) => [...before, directory],
    )
    .addOption(dataDirOption())
    .configureHelp({ helpWidth: MAX_COLUMNS, showGlobalOptions: true })
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("  see: weave status cni --help")
    .action(async (_options: unknown, command: Command) => {
      const options: unknown = command.optsWithGlobals();
      const { json: asJson, cniConfDir, cniBinDir } = flags.parse(options);
      const report = await gather({
        confDir: cniConfDir || undefined,
        binDirs: cniBinDir,
        version: context.version,
        ...readDirectories(options),
      });
      context.print(asJson ? json(report) : renderCni(report));
      context.setExitCode(report.ok ? EXIT.ok : EXIT.failed);
    });
}
