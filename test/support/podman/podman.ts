// Podman with its CNI backend on a machine: nothing of it is shared with the host's own, neither containers, images,
// networks nor locks. Networks are read where the machine has ours, /etc/cni/net.d.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isObject, type JsonObject } from "../../kernel/support/namespaces.ts";
import type { Machine } from "../containerd/machine.ts";
import type { Outcome } from "../host.ts";
import { BOX_IMAGE, type Images, WAIT } from "../images.ts";

const WEAVE = new URL("../../../dist/bin/weave", import.meta.url).pathname;

export class Podman {
  readonly machine: Machine;
  readonly #dir: string;

  constructor(machine: Machine) {
    this.machine = machine;
    this.#dir = join(machine.dir, "podman");
  }

  /** Resolves when it has the image. */
  async start(images: Images): Promise<void> {
    mkdirSync(this.#dir, { recursive: true });
    writeFileSync(this.#path("containers.conf"), CONTAINERS_CONF);
    writeFileSync(
      this.#path("storage.conf"),
      `[storage]\ndriver = "vfs"\nrunroot = "/run/containers"\ngraphroot = "${this.#path("storage")}"\n`,
    );
    await this.ok("load", "--input", images.box);
  }

  /** Does not reject when it fails. */
  podman(...words: string[]): Promise<Outcome> {
    return this.machine.run(["podman", ...words], { env: this.#env, timeoutMs: 60_000 });
  }

  /** `weave WORDS` of somebody whose podman is this one; stdout. */
  weave(...words: string[]): Promise<string> {
    const env = {
      ...this.#env,
      WEAVE_RUN_DIR: this.machine.runDir,
      WEAVE_DATA_DIR: this.machine.dataDir,
    };
    return this.machine.runOk([WEAVE, ...words], { env });
  }

  get #env(): Readonly<Record<string, string>> {
    return {
      CONTAINERS_CONF: this.#path("containers.conf"),
      CONTAINERS_STORAGE_CONF: this.#path("storage.conf"),
    };
  }

  /** stdout; rejects, with what it said, when it fails. */
  async ok(...words: string[]): Promise<string> {
    const { exit, stdout, stderr } = await this.podman(...words);
    if (exit !== 0) throw new Error(`podman ${words.join(" ")}: exit ${exit}\n${stdout}${stderr}`);
    return stdout.trim();
  }

  /** Start a container in the background, as `podman run` with these options; answers its name. */
  async run(name: string, options: readonly string[], command: readonly string[] = WAIT): Promise<string> {
    const outcome = await this.tryRun(name, options, command);
    if (outcome.exit !== 0) throw new Error(`podman run ${name}: ${outcome.stderr}`);
    return name;
  }

  tryRun(name: string, options: readonly string[], command: readonly string[] = WAIT): Promise<Outcome> {
    return this.podman(
      "run",
      "--detach",
      "--name",
      name,
      ...this.runOptions,
      ...options,
      BOX_IMAGE,
      ...command,
    );
  }

  /** Of `podman run` and `podman create`: containers are in the machine's cgroup. */
  get runOptions(): readonly string[] {
    return ["--cgroup-parent", `/${this.machine.cgroup}/podman`, "--stop-timeout", "2"];
  }

  exec(name: string, ...command: string[]): Promise<Outcome> {
    return this.podman("exec", name, ...command);
  }

  /** What `podman inspect` says of a container's networks, by name. */
  async networksOf(name: string): Promise<JsonObject> {
    const [container] = await this.#json("inspect", name);
    const settings = container?.["NetworkSettings"];
    const networks = isObject(settings) ? settings["Networks"] : undefined;
    return isObject(networks) ? networks : {};
  }

  /** As `podman inspect` shows it. */
  async addressOf(name: string, network = "weave"): Promise<string> {
    const attachment = (await this.networksOf(name))[network];
    return isObject(attachment) ? String(attachment["IPAddress"]) : "";
  }

  async #json(...words: string[]): Promise<JsonObject[]> {
    const parsed: unknown = JSON.parse(await this.ok(...words));
    return Array.isArray(parsed) ? parsed.filter(isObject) : [];
  }

  #path(name: string): string {
    return join(this.#dir, name);
  }
}

/**
 * Limits: podman asks for more than a process without CAP_SYS_RESOURCE may have. Locks in files: those in /dev/shm would
 * be the host's.
 */
const CONTAINERS_CONF = `
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
network_config_dir = "/etc/cni/net.d"
`;
