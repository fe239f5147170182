// The namespaces of a memory kernel and what stands in them: interfaces with addresses and routes.
import { WeaveError } from "../../core/errors.ts";
import type { AttachSpec, Netns, NetnsSource } from "../../ports/kernel.ts";

/** A container's end of a veth pair. */
export interface MemoryInterface {
  readonly name: string;
  mac: string;
  mtu: number;
  readonly addresses: readonly string[];
  readonly routes: AttachSpec["routes"];
}

/** What a path leads to. */
export type MemoryNetns =
  | { readonly kind: "netns"; readonly id: string; readonly interfaces: Map<string, MemoryInterface> }
  | { readonly kind: "file" }
  | { readonly kind: "host" };

export class MemoryNamespaces {
  readonly #paths = new Map<string, MemoryNetns>();
  /** Ids of namespaces that were taken away. */
  readonly #removed = new Set<string>();
  readonly #open = new Map<number, MemoryNetns & { kind: "netns" }>();
  #serial = 0;

  /** Put a namespace, an ordinary file or the host's own namespace at a path; a namespace gets a new id each time. */
  add(path: string, kind: MemoryNetns["kind"]): void {
    this.#paths.set(
      path,
      kind === "netns" ? { kind, id: `memory-${++this.#serial}`, interfaces: new Map() } : { kind },
    );
  }

  /** Take a path away. A namespace lives on while it is open. */
  remove(path: string): MemoryNetns | undefined {
    const netns = this.#paths.get(path);
    this.#paths.delete(path);
    if (netns?.kind === "netns") this.#removed.add(netns.id);
    return netns;
  }

  get(path: string): MemoryNetns | undefined {
    return this.#paths.get(path);
  }

  open(source: NetnsSource): Netns {
    const path = "path" in source ? source.path : `/proc/${source.pid}/fd/${source.fd}`;
    const found = this.#paths.get(path);
    if (found === undefined)
      throw new WeaveError("netns-missing", `network namespace ${path} does not exist`);
    if (found.kind === "file") throw new WeaveError("netns-invalid", `${path} is not a network namespace`);
    if (found.kind === "host")
      throw new WeaveError("netns-host", `${path} is the host's own network namespace`);
    // Out of the range of real descriptors: one that escapes into a real call is refused.
    const fd = 1_000_000 + ++this.#serial;
    this.#open.set(fd, found);
    return { fd, id: found.id };
  }

  close(netns: Netns): void {
    this.#open.delete(netns.fd);
  }

  /** Whether a namespace was here and is gone. */
  isDead(id: string): boolean {
    return this.#removed.has(id) && ![...this.#open.values()].some((one) => one.id === id);
  }

  /** How many opened namespaces nobody closed. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Interfaces of an open namespace. */
  interfaces(netns: Netns): Map<string, MemoryInterface> {
    const found = this.#open.get(netns.fd);
    if (found === undefined)
      throw new WeaveError("netns-invalid", `descriptor ${netns.fd} is not a network namespace`);
    return found.interfaces;
  }
}
