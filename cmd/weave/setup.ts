// `weave setup`: puts the CNI plugin and its configuration where container runtimes look for them. Needs no daemon.
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { WeaveError } from "../../src/core/errors.ts";
import { SOCKET_FILE } from "../../src/daemon/options.ts";
import { EXIT } from "../exit-code.ts";
import { dataDirOption, readDirectories, runDirOption } from "../launch-options.ts";
import { type Context, MAX_COLUMNS } from "./context.ts";
import { CONFIGURATION_FILE, installConfiguration } from "./setup/configuration.ts";
import { installExecutables } from "./setup/executables.ts";
import { notes } from "./setup/notes.ts";
import { Remembered } from "./setup/remembered.ts";
import type { Place, Step } from "./setup/step.ts";
import { wrap } from "./text.ts";

const DEFAULT_BIN_DIR = "/opt/cni/bin";
const DEFAULT_CONF_DIR = "/etc/cni/net.d";

const EXAMPLES = `
Installs the plugins weave-net and weave-ipam, and the network configuration ${CONFIGURATION_FILE}, which
it never overwrites once you have changed it. May be run again at any time, also for an upgrade. A
default directory that does not exist is left out; one that is named must exist.

Examples:
  mkdir -p ${DEFAULT_BIN_DIR} ${DEFAULT_CONF_DIR} && weave setup
  weave setup --cni-bin-dir /usr/lib/cni                   containerd of Debian looks there
  weave setup --cni-bin-dir /opt/mesosphere/active/cni \\
              --cni-conf-dir /opt/mesosphere/etc/dcos/network/cni`;

const flags = z.object({ cniBinDir: z.string().optional(), cniConfDir: z.string().optional() });

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
    .addOption(runDirOption())
    .addOption(dataDirOption())
    .addHelpText("after", EXAMPLES)
    .action((options: unknown) => {
      const { runDir, dataDir } = readDirectories(options);
      const { cniBinDir, cniConfDir } = flags.parse(options);
      const request = {
        programs: context.programs,
        version: context.version,
        socket: join(runDir, SOCKET_FILE),
        dataDir,
        bin: find("--cni-bin-dir", cniBinDir, DEFAULT_BIN_DIR),
        conf: find("--cni-conf-dir", cniConfDir, DEFAULT_CONF_DIR),
      };
      const steps = setup(request);
      for (const step of steps) context.print(format(step));
      if (!request.bin.exists && !request.conf.exists) {
        context.setExitCode(EXIT.failed);
        context.tell("weave: nothing was installed");
      }
    });
}

export interface SetupRequest {
  readonly programs: string;
  readonly version: string;
  /** Control socket the installed plugin talks to. */
  readonly socket: string;
  readonly dataDir: string;
  readonly bin: Place;
  readonly conf: Place;
}

/** Installs what there is a place for, the configuration last: with it runtimes begin to call the plugin. */
export function setup(request: SetupRequest): Step[] {
  const { bin, conf } = request;
  const steps: Step[] = [];
  if (bin.exists || conf.exists) {
    const remembered = Remembered.load(request.dataDir);
    if (bin.exists) steps.push(...installExecutables({ ...request, bin: bin.path, remembered }));
    if (conf.exists) steps.push(...installConfiguration(conf.path, remembered));
  }
  if (!bin.exists) steps.push(missing(bin.path, "no plugin was installed"));
  if (!conf.exists) steps.push(missing(conf.path, "no configuration was installed"));
  return [...steps, ...notes(bin, conf)];
}

/** A named directory must exist, or a typing error would look like success. */
function find(option: string, named: string | undefined, otherwise: string): Place {
  const path = resolve(named || otherwise);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) return { path, exists: true };
  if (!named && found === undefined) return { path, exists: false };
  throw new WeaveError(
    "bad-request",
    `${option} ${path} ${found === undefined ? "does not exist" : "is not a directory"}`,
    {
      hint:
        found === undefined
          ? `create it with: mkdir -p ${path}`
          : "name the directory that your container runtime reads",
    },
  );
}

function missing(path: string, consequence: string): Step {
  return { action: "missing", what: path, detail: `${consequence}; to create it: mkdir -p ${path}` };
}

function format({ action, what, detail }: Step): string {
  const line = `${action.padEnd(9)}  ${what}`;
  return detail === undefined
    ? line
    : `${line}\n${wrap(`${" ".repeat(11)}${detail}`, MAX_COLUMNS, " ".repeat(11))}`;
}
