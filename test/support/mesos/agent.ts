// A Mesos agent on a host of the lab: directories of its own, search path of plugins as on DC/OS, and the isolator.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestNamespace } from "../../kernel/support/namespaces.ts";
import type { Host } from "../host.ts";
import type { Lab } from "../lab.ts";
import { type Launched, MesosIsolator } from "./isolator.ts";
import { networksOf, type Service } from "./network-info.ts";
import { installPortMapper } from "./port-mapper.ts";

/** Where Debian has the reference plugins; a delegate such as host-local is found there. */
const REFERENCE_PLUGINS = "/usr/lib/cni";

export class MesosAgent {
  readonly host: Host;
  readonly binDir: string;
  readonly configDir: string;
  readonly isolator: MesosIsolator;
  readonly #lab: Lab;
  readonly #rootDir: string;
  readonly #pluginsDir: string;

  /** Nothing of weave is installed yet. */
  constructor(lab: Lab, host: Host) {
    const dir = join(lab.dir, `${host.nickname}-mesos-${process.pid}`);
    this.#lab = lab;
    this.host = host;
    this.binDir = join(dir, "active/cni");
    this.configDir = join(dir, "etc/cni");
    for (const made of [this.binDir, this.configDir]) mkdirSync(made, { recursive: true });
    const libexec = join(dir, "libexec/mesos");
    installPortMapper(libexec);
    this.#rootDir = join(dir, "run/isolators/network/cni");
    this.#pluginsDir = [this.binDir, libexec, REFERENCE_PLUGINS].join(":");
    this.isolator = this.#newIsolator();
  }

  /** Plugins and the network `weave`. */
  async install(): Promise<void> {
    await this.host.weaveOk("setup", "--mesos", this.binDir, this.configDir);
  }

  /** A file of the configuration directory. */
  write(file: string, content: unknown): void {
    writeFileSync(join(this.configDir, file), JSON.stringify(content));
  }

  /** A namespace for an executor; the lab removes it. */
  executor(label = "task"): TestNamespace {
    return this.#lab.container(this.host, label).namespace;
  }

  /** Run a task of the service. */
  launch(service: Service, options: { id?: string; namespace?: TestNamespace } = {}): Promise<Launched> {
    return this.isolator.launch({
      ...(options.id === undefined ? {} : { id: options.id }),
      namespace: options.namespace ?? this.executor(),
      networks: networksOf(service),
    });
  }

  /** What a new agent process on this machine has. */
  restarted(): MesosIsolator {
    return this.#newIsolator();
  }

  remove(): void {
    this.isolator.remove();
  }

  #newIsolator(): MesosIsolator {
    return new MesosIsolator({
      namespace: this.host.namespace,
      configDir: this.configDir,
      pluginsDir: this.#pluginsDir,
      rootDir: this.#rootDir,
    });
  }
}

/** Unmounts what processes of tests that were killed have left. */
function sweep(): void {
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const path = line.split(" ")[4] ?? ""; // proc_pid_mountinfo(5)
    const pid = /\/weave-e2e-[^/]+\/[^/]+-mesos-(\d+)\//.exec(path)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) execFileSync("umount", [path]);
  }
}
sweep();
