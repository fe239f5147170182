// A Mesos agent's `network/cni` isolator (the Universal Container Runtime), as far as plugins can see it: which networks
// it loads, how it calls a plugin, what it reads of the answer, what it keeps and what it does at its own restart. Mesos
// itself cannot be had here.
//
// It never calls VERSION, CHECK, GC or STATUS, and it has no deadline: a plugin that hangs, hangs the launch.
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isObject, type JsonObject, type TestNamespace } from "../../kernel/support/namespaces.ts";
import { type Attachment, Checkpoints } from "./checkpoints.ts";
import { hostsFile, resolvFile, withoutPrefix } from "./container-files.ts";
import { type LoadedNetworks, loadNetworks, which } from "./loading.ts";
import type { NetworkInfo } from "./network-info.ts";
import { runPlugin } from "./plugin-process.ts";
import { type PluginResult, parseConfiguration, parseResult } from "./spec.ts";

export interface Agent {
  /** The agent machine. */
  readonly namespace: TestNamespace;
  /** --network_cni_config_dir */
  readonly configDir: string;
  /** --network_cni_plugins_dir: colon-separated, given to plugins word for word. */
  readonly pluginsDir: string;
  /** Below the agent's runtime directory, or its work directory with --network_cni_root_dir_persist. */
  readonly rootDir: string;
}

export interface Task {
  /** Absent: a new UUID, as frameworks have them. A nested container's is PARENT.CHILD. */
  readonly id?: string;
  /** The executor's network namespace. */
  readonly namespace: TestNamespace;
  readonly networks: readonly NetworkInfo[];
}

/** What a framework sees in ContainerStatus of a running task. */
export interface Launched {
  readonly id: string;
  /** Without prefix, by network; empty when the result had nothing Mesos understands. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** What plugins wrote to stderr. Mesos drops it when they succeed. */
  readonly stderr: string;
}

export class MesosIsolator {
  readonly #agent: Agent;
  readonly checkpoints: Checkpoints;
  #known: LoadedNetworks;

  constructor(agent: Agent) {
    this.#agent = agent;
    this.checkpoints = new Checkpoints(agent.rootDir);
    this.#known = this.load();
    // Before the lab, which could not remove a directory with mounts in it.
    process.prependOnceListener("exit", this.#unmountAll);
  }

  /** What a scan of the configuration directory finds now. */
  load(): LoadedNetworks {
    return loadNetworks(this.#agent.configDir, this.#agent.pluginsDir);
  }

  /** Attach to all networks at once. A failure undoes all, as the destruction of the container would, and rejects. */
  async launch(task: Task): Promise<Launched> {
    const id = task.id ?? randomUUID();
    const infos = task.networks.filter(({ name }) => name !== undefined);
    const names = infos.map(({ name }) => String(name));
    if (new Set(names).size < names.length) throw new Error(`container ${id} joins a network twice`);
    for (const name of names) this.#pathOf(name);
    this.checkpoints.mountNamespace(id, task.namespace.path);
    await task.namespace.run("ip link set dev lo up");
    const attachments = infos.map((info, index) => ({
      info,
      network: String(info.name),
      ifname: `eth${index}`,
    }));
    for (const attachment of attachments) {
      mkdirSync(this.checkpoints.interfaceDir(id, attachment), { recursive: true });
    }
    const outcomes = await Promise.allSettled(attachments.map((one) => this.#attach(id, one, one.info)));
    const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    if (failures.length > 0) {
      await this.destroy(id);
      throw new AggregateError(failures, failures.map(String).join("\n"));
    }
    const done = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    this.#writeFiles(
      id,
      done.map(({ result }) => result),
    );
    return {
      id,
      addresses: new Map(done.map(({ result }, index) => [names[index] ?? "", addressesOf(result)])),
      stderr: done.map(({ stderr }) => stderr).join(""),
    };
  }

  /**
   * Detach from all networks at once with the checkpointed configuration. A failure leaves the container's directory
   * and mount: nothing tries again before the agent restarts.
   */
  async destroy(id: string): Promise<void> {
    const attachments = this.checkpoints.attachments(id);
    const outcomes = await Promise.allSettled(attachments.map((attachment) => this.#detach(id, attachment)));
    const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("\n"));
    this.checkpoints.remove(id);
  }

  /**
   * The agent has restarted: what every plugin answered is parsed again, and one answer that does not parse keeps the
   * agent from coming up. Containers that do not run any more are destroyed; answers them.
   */
  async recover(running: ReadonlySet<string>): Promise<readonly string[]> {
    for (const id of this.checkpoints.containers()) {
      for (const attachment of this.checkpoints.attachments(id)) {
        const info = this.checkpoints.info(id, attachment);
        // The agent may have died before the plugin answered.
        if (existsSync(info)) parseResult(readFileSync(info, "utf8"));
      }
    }
    const orphans = this.checkpoints.containers().filter((id) => !running.has(id));
    for (const id of orphans) await this.destroy(id);
    return orphans;
  }

  /** The containers that a test which failed has left. */
  async destroyAll(): Promise<void> {
    for (const id of this.checkpoints.containers()) await this.destroy(id);
  }

  /** Unmounts what is left of containers that a test did not destroy. */
  remove(): void {
    process.off("exit", this.#unmountAll);
    this.#unmountAll();
  }

  readonly #unmountAll = (): void => {
    for (const id of this.checkpoints.containers()) this.checkpoints.unmountNamespace(id);
  };

  /** Names are remembered, files are read anew each time; an unknown name makes the isolator look again. */
  #pathOf(network: string): string {
    const path = this.#known.paths.get(network);
    if (path !== undefined && isConfigurationOf(network, path)) return path;
    this.#known = this.load();
    const found = this.#known.paths.get(network);
    if (found === undefined) throw new Error(`Unknown CNI network '${network}'`);
    return found;
  }

  async #attach(
    id: string,
    attachment: Attachment,
    info: NetworkInfo,
  ): Promise<{ readonly result: PluginResult; readonly stderr: string }> {
    const { network, ifname } = attachment;
    const path = this.#pathOf(network);
    const config = withNetworkInfo(readFileSync(path, "utf8"), info);
    writeFileSync(this.checkpoints.conf(id, network), JSON.stringify(config));
    const { exit, stdout, stderr } = await this.#call("ADD", id, attachment);
    if (exit !== 0) {
      throw new Error(
        `the plugin failed to attach container ${id} to CNI network '${network}' as ${ifname}: ` +
          `stdout='${stdout}', stderr='${stderr}'`,
      );
    }
    const result = parseResult(stdout);
    writeFileSync(this.checkpoints.info(id, attachment), stdout);
    return { result, stderr };
  }

  async #detach(id: string, attachment: Attachment): Promise<void> {
    // Without a configuration ADD was never called.
    if (!existsSync(this.checkpoints.conf(id, attachment.network))) return;
    const { exit, stdout, stderr } = await this.#call("DEL", id, attachment);
    if (exit !== 0) {
      throw new Error(
        `the plugin failed to detach container ${id} from CNI network '${attachment.network}': ` +
          `stdout='${stdout}', stderr='${stderr}'`,
      );
    }
    rmSync(this.checkpoints.interfaceDir(id, attachment), { recursive: true });
  }

  #call(command: "ADD" | "DEL", id: string, { network, ifname }: Attachment) {
    const stdin = this.checkpoints.conf(id, network);
    const { type } = parseConfiguration(readFileSync(stdin, "utf8"));
    const plugin = which(type, this.#agent.pluginsDir);
    if (plugin === undefined) throw new Error(`Unable to find the plugin ${type} for container ${id}`);
    const ns = this.checkpoints.ns(id);
    return runPlugin({
      path: plugin,
      agent: this.#agent.namespace.path,
      stdin,
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: id,
        CNI_PATH: this.#agent.pluginsDir,
        CNI_IFNAME: ifname,
        ...(command === "ADD" || this.checkpoints.isNamespace(id) ? { CNI_NETNS: ns } : {}),
        PATH: AGENT_PATH,
      },
    });
  }

  #writeFiles(id: string, results: readonly PluginResult[]): void {
    const dir = this.checkpoints.dir(id);
    const resolv = resolvFile(results);
    writeFileSync(join(dir, "hostname"), `${id}\n`);
    writeFileSync(join(dir, "hosts"), hostsFile(id, results));
    if (resolv !== undefined) writeFileSync(join(dir, "resolv.conf"), resolv);
  }
}

/** What an agent without PATH gives its plugins. */
const AGENT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Key of `args` that belongs to Mesos. */
const MESOS = "org.apache.mesos";

/** The file's configuration with what Mesos tells of the container in `args`. */
function withNetworkInfo(file: string, info: NetworkInfo): JsonObject {
  const config: unknown = JSON.parse(file);
  if (!isObject(config)) throw new Error("a configuration is an object");
  const args = config["args"] ?? {};
  if (!isObject(args)) throw new Error("Invalid 'args' in CNI network configuration");
  if (MESOS in args) throw new Error(`'${MESOS}' in 'args' is reserved by Mesos`);
  return { ...config, args: { ...args, [MESOS]: { network_info: info } } };
}

function isConfigurationOf(network: string, path: string): boolean {
  try {
    return parseConfiguration(readFileSync(path, "utf8")).name === network;
  } catch {
    return false;
  }
}

function addressesOf({ ip4, ip6 }: PluginResult): readonly string[] {
  return [ip4, ip6].flatMap((family) => (family ? [withoutPrefix(family.ip)] : []));
}
