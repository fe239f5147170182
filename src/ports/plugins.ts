// Other CNI plugins, which weave-net calls when `ipam.type` names one. The only processes started for a container, and only
// where the configuration asks for them.

export interface PluginCall {
  /** Name of the executable. */
  readonly type: string;
  /** CNI_PATH: directories to look for it, separated by colons. */
  readonly path: string;
  /** Everything else of its environment that begins with CNI_. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

export interface PluginOutcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Plugins {
  /** feature-missing: no such executable in the path. timeout. kernel: it could not be started. */
  run(call: PluginCall, signal?: AbortSignal): Promise<PluginOutcome>;
}
