// Installs what there is a place for: executables first, then the configurations, since with those runtimes begin to
// call the plugin.
import { type ConfigurationPlan, installConfiguration, planConfiguration } from "./configuration.ts";
import { CONFIGURATION_FILE, type Format } from "./contents.ts";
import { installExecutables } from "./executables.ts";
import { removeAbandoned } from "./files.ts";
import { installMesosConfiguration } from "./mesos.ts";
import { mesosNotes, notes } from "./notes.ts";
import { Remembered } from "./remembered.ts";
import type { Place, Places, Step } from "./step.ts";

export interface SetupRequest extends Places {
  /** Directory of the built programs. */
  readonly programs: string;
  readonly version: string;
  /** Control socket the installed plugin talks to. */
  readonly socket: string;
  readonly dataDir: string;
  /** Absent: what is there stays. */
  readonly format?: Format | undefined;
  /** The directories of Mesos; those that do not exist are made. */
  readonly mesos?: Places | undefined;
}

export interface Installed {
  readonly steps: readonly Step[];
  /** False: it could not be done, and nothing was changed. */
  readonly done: boolean;
}

export function setup(request: SetupRequest): Installed {
  const { bin, conf, mesos, dataDir } = request;
  if (!bin.exists && !conf.exists && mesos === undefined) return { steps: missing(request), done: false };
  const remembered = Remembered.load(dataDir);
  const plan = conf.exists ? planConfiguration(conf.path, request.format, remembered) : undefined;
  if (plan !== undefined && "action" in plan) return { steps: [plan], done: false };
  const steps = [...installForKubelet(request, plan, remembered), ...installForMesos(request, remembered)];
  if (bin.exists || conf.exists) steps.push(...missing(request), ...notes(request));
  if (mesos !== undefined) steps.push(...mesosNotes(mesos));
  removeAbandoned(dataDir);
  return { steps, done: true };
}

function installForKubelet(
  request: SetupRequest,
  plan: ConfigurationPlan | undefined,
  remembered: Remembered,
): Step[] {
  const { bin, programs } = request;
  return [
    ...(bin.exists ? installExecutables({ ...request, bin: bin.path, remembered }) : []),
    // What was not installed can still be asked for its versions where it was built.
    ...(plan === undefined ? [] : installConfiguration(plan, [bin.path, programs], remembered)),
  ];
}

function installForMesos(request: SetupRequest, remembered: Remembered): Step[] {
  const { mesos } = request;
  if (mesos === undefined) return [];
  for (const place of [mesos.bin, mesos.conf]) remembered.makeDirectory(place.path);
  return [
    ...installExecutables({ ...request, bin: mesos.bin.path, remembered }),
    ...installMesosConfiguration(mesos.conf.path, remembered),
  ];
}

function missing({ bin, conf, format }: SetupRequest): Step[] {
  const steps: Step[] = [];
  if (!bin.exists) steps.push(toMake(bin, "no plugin was installed"));
  if (!conf.exists) steps.push(toMake(conf, `no ${CONFIGURATION_FILE[format ?? "conf"]} was installed`));
  return steps;
}

function toMake({ path }: Place, consequence: string): Step {
  return { action: "missing", what: path, detail: `${consequence}; to create it: mkdir -p ${path}` };
}
