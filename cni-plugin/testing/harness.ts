// One daemon's worth of fakes behind a handler, and calls written as a runtime would make them.
import { type CniPlugin, createCniPlugin } from "../handle.ts";
import { FakeAttachments, FakeKernel, FakePlugins } from "./fakes.ts";

export interface Call {
  readonly program?: "weave-net" | "weave-ipam";
  readonly id?: string;
  readonly ifname?: string;
  readonly netns?: string;
  readonly args?: string;
  /** Merged over {"cniVersion":"1.1.0","name":"net1"}; a string is stdin as it is. */
  readonly config?: Record<string, unknown> | string;
  readonly env?: Record<string, string>;
  readonly body?: Record<string, unknown>;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout decoded; {} when empty. */
  readonly json: Record<string, unknown>;
}

export class Harness {
  readonly attachments = new FakeAttachments();
  readonly kernel = new FakeKernel();
  readonly plugins = new FakePlugins();
  readonly logged: string[] = [];
  /** Milliseconds since boot. */
  now = 0;
  bootId = "boot-1";
  plugin: CniPlugin = this.#start();

  constructor() {
    this.now = 1_000;
  }

  /** A new daemon on the same host, with the same memory on disk. */
  restart(): void {
    this.plugin = this.#start();
  }

  #start(): CniPlugin {
    const log = (message: string): void => void this.logged.push(message);
    return createCniPlugin({
      attachments: this.attachments,
      kernel: this.kernel,
      plugins: this.plugins,
      boot: { moment: () => ({ bootId: this.bootId, bootMs: this.now }) },
      log: { debug: log, info: log, warn: log, error: log },
    });
  }

  async call(command: string, call: Call = {}): Promise<Answer> {
    const config = call.config ?? {};
    const body = {
      program: call.program ?? "weave-net",
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: call.id ?? "c-1",
        CNI_IFNAME: call.ifname ?? "eth0",
        CNI_NETNS: call.netns ?? "/run/netns/c1",
        CNI_PATH: "/opt/cni/bin",
        ...(call.args === undefined ? {} : { CNI_ARGS: call.args }),
        ...call.env,
      },
      stdin:
        typeof config === "string"
          ? config
          : JSON.stringify({ cniVersion: "1.1.0", name: "net1", ...config }),
      pid: 4711,
      ...call.body,
    };
    const answer = await this.plugin.handle(body, call.signal ?? new AbortController().signal);
    const json: unknown = answer.stdout === "" ? {} : JSON.parse(answer.stdout);
    return { ...answer, json: Object.fromEntries(Object.entries(Object(json))) };
  }

  /**
   * Holds the first operation of this name: `reached` resolves when it begins, and it goes on after
   * `release()`.
   */
  holdAt(operation: string): { reached: Promise<void>; release: () => void } {
    let reach = (): void => undefined;
    let release = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const hold = (name: string): Promise<void> | undefined => {
      if (name !== operation) return undefined;
      reach();
      return released;
    };
    this.attachments.before = hold;
    this.kernel.before = hold;
    return { reached, release };
  }

  /** What is left behind: empty strings when nothing is. */
  residue(): { addresses: string; links: string; openNetns: number } {
    return {
      addresses: [...this.attachments.held.keys()].join(" "),
      links: [...this.kernel.links.keys()].join(" "),
      openNetns: this.kernel.open,
    };
  }
}

export const NOTHING_LEFT = { addresses: "", links: "", openNetns: 0 };
