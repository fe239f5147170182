// What Docker is to kubelet's dockershim: a pause process that holds a pod's network namespace. The namespace is known
// by the process alone, as /proc/PID/ns/net, and lost with it.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readlinkSync, statSync } from "node:fs";
import { eventually, type TestNamespace } from "../../kernel/support/namespaces.ts";
import { killInside } from "../lab.ts";

export class Sandbox {
  /** As Docker names containers. */
  readonly id = randomBytes(32).toString("hex");
  readonly namespace: TestNamespace;
  readonly #process: ChildProcess;

  private constructor(namespace: TestNamespace, process: ChildProcess) {
    this.namespace = namespace;
    this.#process = process;
  }

  static async start(namespace: TestNamespace): Promise<Sandbox> {
    const child = spawn("nsenter", [`--net=${namespace.path}`, "sleep", "infinity"], { stdio: "ignore" });
    const sandbox = new Sandbox(namespace, child);
    const own = `net:[${statSync(namespace.path).ino}]`;
    await eventually("the pause process is in its namespace", () => readlinkSync(sandbox.#path) === own);
    return sandbox;
  }

  /** undefined: the process is dead, and nobody knows the namespace any more. */
  get netns(): string | undefined {
    return this.#process.exitCode === null && this.#process.signalCode === null ? this.#path : undefined;
  }

  /** The process ends, whatever else ran in the pod too, and the namespace with them. */
  async die(): Promise<void> {
    if (this.netns !== undefined) {
      const closed = new Promise((resolve) => this.#process.once("close", resolve));
      this.#process.kill("SIGKILL");
      await closed;
    }
    killInside(this.namespace.name);
    this.namespace.remove();
  }

  get #path(): string {
    return `/proc/${this.#process.pid}/ns/net`;
  }
}
