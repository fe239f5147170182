// One host: a namespace on the underlay with directories of its own, and the `weave` command run in it as a user
// would. State that a test asserts is read over the control API.
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isRunning } from "../../cmd/weave/daemon-end.ts";
import { type Client, createClient } from "../../src/api/client.ts";
import type { Status } from "../../src/api/status.ts";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";

const PROGRAMS = new URL("../../dist/bin/", import.meta.url).pathname;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Of a command. */
export interface Outcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a host is, and what it is called. */
export interface HostPlace {
  readonly nickname: string;
  readonly namespace: TestNamespace;
  /** On the underlay. */
  readonly address: string;
  /** Directory for everything this host keeps. */
  readonly dir: string;
}

/** A host of a test; `weave` runs in its namespace. */
export class Host {
  readonly nickname: string;
  readonly namespace: TestNamespace;
  readonly address: string;
  readonly runDir: string;
  readonly dataDir: string;
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly client: Client;

  constructor({ nickname, namespace, address, dir }: HostPlace) {
    this.nickname = nickname;
    this.namespace = namespace;
    this.address = address;
    this.runDir = join(dir, "run");
    this.dataDir = join(dir, "data");
    this.cniBinDir = join(dir, "cni-bin");
    this.cniConfDir = join(dir, "cni-conf");
    mkdirSync(this.cniBinDir, { recursive: true });
    mkdirSync(this.cniConfDir, { recursive: true });
    this.client = createClient(join(this.runDir, "weave.sock"));
  }

  /** `weave WORDS`; does not reject when the command fails. */
  weave(...words: string[]): Promise<Outcome> {
    return this.#run([join(PROGRAMS, "weave"), ...words]);
  }

  /** The same with more variables. */
  weaveWith(variables: Readonly<Record<string, string>>, ...words: string[]): Promise<Outcome> {
    return this.#run([join(PROGRAMS, "weave"), ...words], variables);
  }

  #run(words: readonly string[], variables: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    const env = { PATH, WEAVE_RUN_DIR: this.runDir, WEAVE_DATA_DIR: this.dataDir, ...variables };
    const argv = [`--net=${this.namespace.path}`, ...words];
    return new Promise((resolve) => {
      execFile("nsenter", argv, { cwd: "/", env, timeout: 90_000 }, (error, stdout, stderr) => {
        const exit = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ exit, stdout, stderr });
      });
    });
  }

  /** Rejects, with what it said, when the command fails; answers stdout. */
  async weaveOk(...words: string[]): Promise<string> {
    const { exit, stdout, stderr } = await this.weave(...words);
    if (exit === 0) return stdout;
    throw new Error(
      `weave ${words.join(" ")} on ${this.nickname}: exit ${exit}\n${stdout}${stderr}${this.logTail()}`,
    );
  }

  async setup(): Promise<void> {
    await this.weaveOk("setup", "--cni-bin-dir", this.cniBinDir, "--cni-conf-dir", this.cniConfDir);
  }

  /** `weave launch`, with options and peers as given. */
  async launch(...words: string[]): Promise<void> {
    await this.weaveOk("launch", "--nickname", this.nickname, ...words);
  }

  /** `weave launch` in another boot: with what this file says in the place of the kernel's boot id. */
  async launchUnder(bootId: string, ...words: string[]): Promise<void> {
    const script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
    const launch = [join(PROGRAMS, "weave"), "launch", "--nickname", this.nickname, ...words];
    const { exit, stderr } = await this.#run(["unshare", "-m", "sh", "-c", script, bootId, ...launch]);
    if (exit !== 0) throw new Error(`launch of ${this.nickname} in another boot: exit ${exit}\n${stderr}`);
  }

  async stop(): Promise<void> {
    await this.weaveOk("stop");
  }

  /** Process id of the daemon that runs, or ran last. */
  pid(): number {
    return Number(readFileSync(join(this.runDir, "weaver.pid"), "utf8"));
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    const pid = this.pid();
    process.kill(pid, "SIGKILL");
    await eventually(`process ${pid} is gone`, () => !isRunning(pid));
  }

  status(): Promise<Status> {
    return this.client.status();
  }

  /** Wait until `status` satisfies a condition; the message of a failure shows what it said last. */
  async until(what: string, holds: (status: Status) => boolean, timeoutMs = 20_000): Promise<Status> {
    let last: Status | undefined;
    try {
      return await eventually(
        what,
        async () => {
          last = await this.status();
          return holds(last) ? last : undefined;
        },
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`${this.nickname}: ${what}\n${JSON.stringify(last, null, 1)}${this.logTail()}`, {
        cause: error,
      });
    }
  }

  untilOk(timeoutMs?: number): Promise<Status> {
    return this.until("status is OK", (status) => status.ok, timeoutMs);
  }

  /** Drop what the daemons say to each other (TCP 6783) with one peer; containers' packets pass. */
  async blockControl(peer: Host): Promise<void> {
    await this.namespace.run("nft add table inet cut");
    for (const [hook, end] of [
      ["input", "saddr"],
      ["output", "daddr"],
    ]) {
      await this.namespace.run(`nft add chain inet cut ${hook} { type filter hook ${hook} priority 0 ; }`);
      for (const port of ["sport", "dport"]) {
        await this.namespace.run(
          `nft add rule inet cut ${hook} ip ${end} ${peer.address} tcp ${port} 6783 drop`,
        );
      }
    }
  }

  async allowControl(): Promise<void> {
    await this.namespace.run("nft delete table inet cut");
  }

  /** The daemon's log, for the message of a failure. */
  logTail(lines = 20): string {
    try {
      const log = readFileSync(join(this.runDir, "weaver.log"), "utf8").trimEnd().split("\n");
      return `\n--- log of ${this.nickname}\n${log.slice(-lines).join("\n")}\n`;
    } catch {
      return "\n--- no log\n";
    }
  }

  /** Names of the host ends of container interfaces. */
  async veths(): Promise<string[]> {
    const links = await this.namespace.json("ip -j link show type veth");
    return links.map((link) => String(link["ifname"])).filter((name) => name.startsWith("vw"));
  }
}
