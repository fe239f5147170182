// A host with processes and mounts of its own, as a container runtime finds them on a real node: /etc/cni/net.d,
// /opt/cni/bin, /var/lib/cni, /run/netns. The daemon runs inside too, so paths of namespaces mean the same to all.
//
// Everything in it is a descendant of one process. When that is killed, or the process of the tests ends in
// whatever way, the kernel ends the rest and unmounts what they mounted.
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../kernel/support/namespaces.ts";
import { Host, type HostPlace, type Outcome } from "../host.ts";
import { cgroupName, removeCgroups } from "./cgroups.ts";
import { untilSync } from "./until-sync.ts";

const INIT = new URL("machine-init.sh", import.meta.url).pathname;
const PROGRAMS = new URL("../../../dist/bin/", import.meta.url).pathname;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Of containernetworking-plugins: what runtimes call beside ours. */
const STANDARD_PLUGINS = "/usr/lib/cni";

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export class Machine extends Host {
  /** For what runtimes on this machine keep. */
  readonly dir: string;
  /** In each cgroup hierarchy; the containers of this machine belong below it. */
  readonly cgroup: string;
  #init: ChildProcess | undefined;
  #initPid = 0;

  constructor(place: HostPlace) {
    super(place);
    this.dir = join(place.dir, "runtime");
    this.cgroup = cgroupName(place.nickname);
  }

  /** Starts the machine, unless it runs, and installs weave and the standard plugins on it. */
  override async setup(...words: string[]): Promise<void> {
    if (this.#init === undefined) {
      await this.#start();
      copyFileSync(join(STANDARD_PLUGINS, "loopback"), join(this.cniBinDir, "loopback"));
    }
    await this.weaveOk("setup", ...words);
  }

  override weave(...words: string[]): Promise<Outcome> {
    const env = { WEAVE_RUN_DIR: this.runDir, WEAVE_DATA_DIR: this.dataDir };
    return this.run([join(PROGRAMS, "weave"), ...words], { env, timeoutMs: 90_000 });
  }

  /** As the processes of the tests see it. */
  override pid(): number {
    const inner = String(super.pid());
    const namespace = readlinkSync(`/proc/${this.#initPid}/ns/pid`);
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const seen = /^NSpid:(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
        const isInner = seen?.trim().split(/\s+/).at(-1) === inner;
        if (isInner && readlinkSync(`/proc/${pid}/ns/pid`) === namespace) return Number(pid);
      } catch {
        // Ended meanwhile.
      }
    }
    throw new Error(`${this.nickname} has no process ${inner}`);
  }

  /** argv that runs a program in the machine. */
  inside(argv: readonly string[]): string[] {
    return ["nsenter", `--target=${this.#initPid}`, "--net", "--mount", "--pid", ...argv];
  }

  /** A program's outcome; does not reject when it fails. */
  run(argv: readonly string[], { env, timeoutMs = 30_000 }: RunOptions = {}): Promise<Outcome> {
    const [file = "", ...args] = this.inside(argv);
    return new Promise((resolve) => {
      const options = { cwd: "/", env: { PATH, ...env }, timeout: timeoutMs };
      execFile(file, args, options, (error, stdout, stderr) => {
        const exit = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ exit, stdout, stderr });
      });
    });
  }

  /** stdout of a program that must succeed. */
  async runOk(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const { exit, stdout, stderr } = await this.run(argv, options);
    if (exit !== 0)
      throw new Error(`${argv.join(" ")} on ${this.nickname}: exit ${exit}\n${stdout}${stderr}`);
    return stdout;
  }

  /** A path of the machine as the process of the tests reaches it. */
  path(inner: string): string {
    return `/proc/${this.#initPid}/root${inner}`;
  }

  /** Names of the network namespaces that runtimes made. */
  networkNamespaces(): string[] {
    return readdirSync(this.path("/run/netns")).sort();
  }

  /** Ends everything inside. The second time, nothing. */
  remove(): void {
    const init = this.#init;
    if (init === undefined) return;
    this.#init = undefined;
    if (this.#initPid !== 0) {
      const [file = "", ...args] = this.inside(["sh", "-c", "kill -KILL -1"]); // all but process 1 and this one
      spawnSync(file, args, { stdio: "ignore" });
      untilSync(() => this.#isAlone()); // while processes end they may still make cgroups
      removeCgroups(this.path("/sys/fs/cgroup"), this.cgroup);
    }
    init.kill("SIGKILL"); // unshare; the machine's process 1 follows it
  }

  #isAlone(): boolean {
    const pids = readdirSync(this.path("/proc")).filter((name) => /^\d+$/.test(name));
    return pids.length === 1;
  }

  async #start(): Promise<void> {
    const cache = join(this.dir, "cni-cache");
    mkdirSync(cache, { recursive: true });
    const unshare = [
      ...["unshare", "--mount", "--propagation=private", "--mount-proc"],
      ...["--pid", "--fork", "--kill-child=SIGKILL"],
    ];
    const directories = [this.dir, this.cniConfDir, this.cniBinDir, cache];
    const argv = [
      ...["--pdeathsig=KILL", "nsenter", `--net=${this.namespace.path}`],
      ...[...unshare, "sh", INIT, ...directories],
    ];
    const init = spawn("setpriv", argv, { cwd: "/", env: { PATH }, stdio: ["ignore", "pipe", "pipe"] });
    this.#init = init;
    let said = "";
    for (const stream of [init.stdout, init.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        said += chunk.toString("utf8");
      });
    }
    await eventually(`machine ${this.nickname} starts`, () => {
      if (init.exitCode !== null) throw new Error(`machine ${this.nickname} does not start: ${said}`);
      return said.includes("ready");
    });
    // setpriv and nsenter have become unshare, whose one child is process 1 of the machine.
    this.#initPid = Number(readFileSync(`/proc/${init.pid}/task/${init.pid}/children`, "utf8").trim());
  }
}
