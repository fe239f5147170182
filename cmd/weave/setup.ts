// `weave setup`: puts the CNI plugin and its configuration where container runtimes look for them, or takes both away.
// Needs no daemon.
import { join } from "node:path";
import { type Command, Option } from "commander";
import { z } from "zod";
import { DEFAULT_DATA_DIR, SOCKET_FILE } from "../../src/daemon/options.ts";
import { EXIT } from "../exit-code.ts";
import { dataDirOption, readDirectories, runDirOption } from "../launch-options.ts";
import { quote } from "./cni/finding.ts";
import { type Context, MAX_COLUMNS } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { FORMATS } from "./setup/contents.ts";
import { setup } from "./setup/install.ts";
import { DEFAULT_BIN_DIR, DEFAULT_CONF_DIR, kubeletPlaces, mesosPlaces } from "./setup/places.ts";
import type { Step } from "./setup/step.ts";
import { stillHere } from "./setup/still-here.ts";
import { uninstall } from "./setup/uninstall.ts";
import { plain, wrap } from "./text.ts";

const EXAMPLES = `
Installs the plugins weave-net and weave-ipam, and the network configuration 10-weave.conf or
10-weave.conflist, which it never overwrites once you have changed it. May be run again at any time,
also for an upgrade. A default directory that does not exist is left out; one that is named must
exist. Where /opt/mesosphere exists, or with --mesos, Mesos gets the plugins and a weave.conf, too.

--uninstall removes what setup brought, in every directory it was run for, and keeps files you have
changed. Daemon and containers go on; but a runtime that is to delete a container needs the plugin,
so delete them first. "weave setup" brings it back.

Examples:
  mkdir -p ${DEFAULT_BIN_DIR} ${DEFAULT_CONF_DIR} && weave setup
  weave setup --format conflist                            podman reads nothing else
  weave setup --cni-bin-dir /usr/lib/cni                   containerd of Debian looks there
  weave setup --mesos /usr/libexec/cni /etc/mesos/cni      --network_cni_plugins_dir, _config_dir
  weave setup --uninstall
  weave status cni                                         whether kubelet will use it`;

const flags = z.object({
  cniBinDir: z.string().optional(),
  cniConfDir: z.string().optional(),
  format: z.enum(FORMATS).optional(),
  mesos: z.array(z.string()).optional(),
  uninstall: z.boolean().optional(),
});

export function addSetup(program: Command, context: Context): Command {
  return program
    .command("setup")
    .description("Install the CNI plugin and its configuration on this host")
    .option(
      "--cni-bin-dir <DIR>",
      `where runtimes look for plugins (default: ${DEFAULT_BIN_DIR} if it exists)`,
    )
    .option(
      "--cni-conf-dir <DIR>",
      `where they look for networks (default: ${DEFAULT_CONF_DIR} if it exists)`,
    )
    .addOption(
      new Option("--format <FORMAT>", "of the configuration (default: what is there, else conf)").choices(
        FORMATS,
      ),
    )
    .addOption(twoValues(new Option("--mesos <BIN_DIR> <CONF_DIR>", "directories of a Mesos agent, both")))
    .addOption(
      new Option("--uninstall", "remove what setup brought").conflicts([
        "cniBinDir",
        "cniConfDir",
        "format",
        "mesos",
      ]),
    )
    .addOption(runDirOption())
    .addOption(dataDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (options: unknown) => {
      const steps = flags.parse(options).uninstall ? await takeAway(options) : install(options, context);
      for (const step of steps) context.print(format(step));
    });
}

/** Commander takes more than one value only as a list; the number is checked when it is read. */
function twoValues(option: Option): Option {
  option.variadic = true;
  return option;
}

function install(options: unknown, context: Context): readonly Step[] {
  const { runDir, dataDir } = readDirectories(options);
  const { cniBinDir, cniConfDir, format, mesos } = flags.parse(options);
  const kubelet = kubeletPlaces(cniBinDir, cniConfDir);
  const { steps, done } = setup({
    ...kubelet,
    programs: context.programs,
    version: context.version,
    socket: join(runDir, SOCKET_FILE),
    dataDir,
    format,
    mesos: mesosPlaces(mesos, kubelet),
  });
  if (done) return kubelet.conf.exists ? [...steps, next(dataDir)] : steps;
  context.setExitCode(EXIT.failed);
  context.tell("weave: nothing was installed");
  return steps;
}

async function takeAway(options: unknown): Promise<Step[]> {
  const { dataDir } = readDirectories(options);
  return [...uninstall(dataDir), ...(await stillHere(daemonOf(options, PATIENCE_MS).client))];
}

/** For a daemon that only has to be mentioned. */
const PATIENCE_MS = 3000;

function next(dataDir: string): Step {
  const where = dataDir === DEFAULT_DATA_DIR ? "" : ` --data-dir ${quote(dataDir)}`;
  return { action: "next", what: `weave status cni${where}`, detail: "shows whether kubelet will use weave" };
}

function format({ action, what, detail, command }: Step): string {
  const indent = " ".repeat(11);
  const line = action.padEnd(indent.length) + wrap(indent + what, MAX_COLUMNS, indent).slice(indent.length);
  const lines = [line];
  if (detail !== undefined) lines.push(wrap(indent + detail, MAX_COLUMNS, indent));
  if (command !== undefined) lines.push(`${indent}run: ${plain(command)}`);
  return lines.join("\n");
}
