// `weave doctor`: looks at everything on this host that can keep weave from working, and tells what mends it. Changes
// nothing; works with the daemon running, stopped, or never launched.
import { join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { parseCidr } from "../../src/core/address/cidr.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { DEFAULT_PORT } from "../../src/daemon/options.ts";
import { EXIT } from "../exit-code.ts";
import { dataDirOption, readDirectories, runDirOption } from "../launch-options.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import type { Surroundings } from "./doctor/check.ts";
import { CHECKS } from "./doctor/checks/all.ts";
import { examine } from "./doctor/examine.ts";
import { kernelSurvey } from "./doctor/facts/kernel.ts";
import { renderDoctor } from "./doctor/render.ts";
import { DEFAULT_CONF_DIR } from "./setup/places.ts";
import { json } from "./text.ts";

const EXAMPLES = `
The first line is "OK", or "PROBLEM" and how much there is to mend; each finding follows with the
command that mends it. Notes are what is worth knowing and hinders nothing now. Exit code 0 when
nothing is wrong, 1 when something is, or could not be looked at. Changes nothing on this host.

It looks at the daemon, kernel features and tools, ports, the range against routes and nameservers,
the MTU against every peer, kernel settings, firewalls that drop what is forwarded, firewalld,
NetworkManager and systemd-networkd, what Kubernetes believes are addresses of pods, and what
runtimes read (weave status cni).

Examples:
  weave doctor
  weave doctor --ipalloc-range 10.64.0.0/12        before a first launch with this range
  weave doctor --json | jq -r '.findings[].command'
  weave doctor > /dev/null || alert                in a script`;

const flags = z.object({
  json: z.boolean().optional(),
  ipallocRange: z.string().optional(),
  port: z.string().optional(),
  cniConfDir: z.string().optional(),
  cniBinDir: z.array(z.string()).optional(),
});

/** A daemon that does not answer in this time does not answer. */
const PATIENCE_MS = 3_000;

/** `weave doctor`: needs root to see all. */
export function addDoctor(program: Command, context: Context): Command {
  return program
    .command("doctor")
    .description("Look for everything on this host that can go wrong, and tell what mends it")
    .option("--json", "print {ok, findings, notes, checks} as JSON")
    .option("--ipalloc-range <CIDR[,CIDR]>", "addresses of the network, where no daemon tells them")
    .option("--port <PORT>", `TCP port of the mesh, where no daemon tells it (else ${DEFAULT_PORT})`)
    .option("--cni-conf-dir <DIR>", `networks (default: where setup wrote last, else ${DEFAULT_CONF_DIR})`)
    .option(
      "--cni-bin-dir <DIR>",
      "plugins, may be repeated (default: as weave status cni)",
      (directory: string, before: string[] = []) => [...before, directory],
    )
    .addOption(runDirOption())
    .addOption(dataDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (options: unknown) => {
      const report = await examine(CHECKS, surroundings(options, context));
      context.print(flags.parse(options).json ? json(report) : renderDoctor(report));
      context.setExitCode(report.ok ? EXIT.ok : EXIT.failed);
    });
}

function surroundings(options: unknown, context: Context): Surroundings {
  const { ipallocRange, port, cniConfDir, cniBinDir } = flags.parse(options);
  let status: ReturnType<Surroundings["status"]> | undefined;
  return {
    version: context.version,
    root: "/",
    ...readDirectories(options),
    port: readPort(port),
    range: readRange(ipallocRange),
    cniConfDir: cniConfDir || undefined,
    cniBinDirs: cniBinDir,
    status: () => {
      status ??= askStatus(options);
      return status;
    },
    kernel: kernelSurvey(join(context.programs, "../lib/kernel-survey.js")),
  };
}

async function askStatus(options: unknown): ReturnType<Surroundings["status"]> {
  try {
    return await daemonOf(options, PATIENCE_MS).client.status();
  } catch (error) {
    if (error instanceof WeaveError) return error;
    throw error;
  }
}

function readRange(text: string | undefined): readonly string[] | undefined {
  const cidrs = text?.split(",");
  const bad = cidrs?.find((one) => !one.includes("/") || parseCidr(one) === undefined);
  if (bad === undefined) return cidrs;
  throw new WeaveError("bad-address", `--ipalloc-range ${bad} is not a CIDR`, {
    hint: "for example 10.32.0.0/12",
  });
}

function readPort(text: string | undefined): number {
  const port = text === undefined ? DEFAULT_PORT : /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new WeaveError("bad-request", `--port ${text} is not a port`);
}
