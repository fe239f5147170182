// A containerd on a machine: started with a configuration of its own, everything it keeps below one directory. The
// places of the CNI configuration and of plugins are left at its defaults, where the machine has ours.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../kernel/support/namespaces.ts";
import { BOX_IMAGE, type Images, PAUSE_IMAGE } from "../images.ts";
import { Cri } from "./cri.ts";
import type { Machine } from "./machine.ts";

/** The programs of one version. */
export interface Release {
  /** For people. */
  readonly name: string;
  /** Directory of containerd, ctr and the shim; runc is Debian's in any case. */
  readonly dir: string;
}

/** What the package containerd installed. */
export const INSTALLED: Release = { name: "installed", dir: "/usr/bin" };

/** In containerd's own sense of the word: that of Kubernetes, and that of ctr. */
const NAMESPACES = ["k8s.io", "default"];

export class Containerd {
  readonly machine: Machine;
  readonly cri: Cri;
  readonly #release: Release;
  readonly #dir: string;
  readonly #socket: string;
  #snapshotter = "overlayfs";
  #process: ChildProcess | undefined;

  constructor(machine: Machine, release: Release) {
    this.machine = machine;
    this.#release = release;
    this.#dir = join(machine.dir, "containerd");
    this.#socket = join(this.#dir, "containerd.sock");
    this.cri = new Cri(this.#socket);
  }

  /** Resolves when it answers and has the images. */
  async start(images: Images): Promise<void> {
    mkdirSync(this.#dir, { recursive: true });
    if (!(await this.#hasOverlay())) this.#snapshotter = "native";
    await this.#run();
    for (const namespace of NAMESPACES) {
      for (const image of [images.pause, images.box]) {
        await this.ctrOk("-n", namespace, "images", "import", "--snapshotter", this.#snapshotter, image);
      }
    }
    // The interface learns of them by an event.
    for (const image of [PAUSE_IMAGE, BOX_IMAGE]) {
      await eventually(`containerd knows ${image}`, async () => {
        const status = await this.cri.call("ImageStatus", { image: { image } }).catch(() => undefined);
        return (status?.image ?? null) !== null;
      });
    }
  }

  /** SIGTERM, as systemd sends it at an upgrade, and another start: shims and containers go on. */
  async restart(): Promise<void> {
    const process = this.#process;
    if (process === undefined) throw new Error("containerd does not run");
    const closed = new Promise((resolve) => process.once("close", resolve));
    await this.machine.run(["pkill", "-TERM", "-x", "containerd"]);
    await closed;
    await this.#run();
  }

  async #run(): Promise<void> {
    const config = join(this.#dir, "config.toml");
    writeFileSync(config, this.#config());
    const log = openSync(join(this.#dir, "log"), "a");
    const argv = this.machine.inside([join(this.#release.dir, "containerd"), "--config", config]);
    const [file = "", ...args] = argv;
    const env = { PATH: `${this.#release.dir}:/usr/sbin:/usr/bin:/sbin:/bin` };
    this.#process = spawn(file, args, { cwd: "/", env, stdio: ["ignore", log, log] });
    closeSync(log);
    await eventually("containerd answers", async () => {
      if (this.#process?.exitCode !== null) throw new Error(`containerd ended: ${this.logTail()}`);
      return (await this.ctr("version")).exit === 0;
    });
    await eventually("its interface answers", () => this.cri.call("Version").catch(() => undefined));
  }

  ctr(...words: string[]): ReturnType<Machine["run"]> {
    return this.machine.run([join(this.#release.dir, "ctr"), "--address", this.#socket, ...words]);
  }

  ctrOk(...words: string[]): Promise<string> {
    return this.machine.runOk([join(this.#release.dir, "ctr"), "--address", this.#socket, ...words]);
  }

  /** Options of `ctr run` for a container on this machine. */
  runOptions(id: string): string[] {
    return ["--snapshotter", this.#snapshotter, "--cgroup", `/${this.machine.cgroup}/${id}`];
  }

  logTail(lines = 20): string {
    const log = readFileSync(join(this.#dir, "log"), "utf8").trimEnd().split("\n");
    return `\n--- log of containerd on ${this.machine.nickname}\n${log.slice(-lines).join("\n")}\n`;
  }

  /** Not on every file system, for one not on an overlay. */
  async #hasOverlay(): Promise<boolean> {
    const at = (name: string): string => join(this.#dir, "overlay-probe", name);
    for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(at(name), { recursive: true });
    const options = `lowerdir=${at("lower")},upperdir=${at("upper")},workdir=${at("work")}`;
    const mount = ["mount", "-t", "overlay", "-o", options, "overlay", at("merged")];
    if ((await this.machine.run(mount)).exit !== 0) return false;
    await this.machine.runOk(["umount", at("merged")]);
    return true;
  }

  /**
   * Version 2 is what containerd 1.6 reads; 2.x converts it. restrict_oom_score_adj: a process without CAP_SYS_RESOURCE
   * must not ask for less than it has. opt: it would make /opt/containerd. transfer: how ctr of 2.x imports an image.
   */
  #config(): string {
    return `
version = 2
root = "${join(this.#dir, "root")}"
state = "${join(this.#dir, "state")}"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "${this.#socket}"
[ttrpc]
  address = "${this.#socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${this.#snapshotter}"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux"
  snapshotter = "${this.#snapshotter}"
`;
  }
}
