// Where a kernel instance acts: in the thread's own network namespace, or as the host that lives in a given one.
// Everything that is born into a namespace (sockets, child processes, /proc/sys/net look-ups) goes through `run`.
import { closeSync, openSync } from "node:fs";
import { inNetns, ownNetns } from "./netns.ts";

export class Host {
  /** Descriptor of the namespace acted in. */
  readonly fd: number;
  readonly #foreign: boolean;
  readonly #opened: boolean;

  /** Without `netns` the thread's own; else a path or an open descriptor, which stays the caller's. */
  constructor(netns?: string | number) {
    this.#foreign = netns !== undefined;
    this.#opened = typeof netns === "string";
    this.fd = netns === undefined ? ownNetns() : typeof netns === "string" ? openSync(netns, "r") : netns;
  }

  /** Run synchronous code inside the namespace. */
  run<T>(fn: () => T extends PromiseLike<unknown> ? never : T): T {
    return this.#foreign ? inNetns(this.fd, fn) : fn();
  }

  close(): void {
    if (this.#opened) closeSync(this.fd);
  }
}
