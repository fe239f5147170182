// The Kernel port as the main thread has it: every call is a message to the kernel thread. A netlink call that takes
// the kernel 40 ms therefore delays no heartbeat. Descriptors are the process's, so those of openNetns hold on both sides.

import { closeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { WeaveError } from "../core/errors.ts";
import type { Kernel } from "../ports/kernel.ts";
import type { LinuxKernelOptions } from "./linux.ts";
import {
  type DriftNotice,
  decodeError,
  type Operation,
  type Reply,
  type Request,
  type Result,
} from "./protocol.ts";

/** How the kernel thread is started. */
export interface WorkerKernelOptions extends LinuxKernelOptions {
  /** The kernel thread ended without being asked to. All calls, waiting and later, are refused; the daemon should end. */
  readonly onDeath?: (error: Error) => void;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** `workerUrl` is the bundled worker.ts. The thread starts at once and ends with close(). */
export function createWorkerKernel(workerUrl: URL | string, options: WorkerKernelOptions = {}): Kernel {
  const { onDeath, ...workerData } = options;
  // Descriptors that the thread opens are closed here, so it must not keep account of them.
  const worker = new Worker(workerUrl, { workerData, name: "kernel", trackUnmanagedFds: false });
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let ended: Error | undefined;
  let closing: Promise<void> | undefined;

  const end = (error: Error): void => {
    if (ended !== undefined) return;
    ended = error;
    for (const one of waiting.values()) one.reject(error);
    waiting.clear();
    if (closing === undefined) onDeath?.(error);
  };
  let onDrift = (_objects: readonly string[]): void => {};
  worker.on("message", (reply: Reply | DriftNotice) => {
    if ("drift" in reply) return onDrift(reply.drift);
    const one = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.outcome === "done") one?.resolve(reply.value);
    else one?.reject(decodeError(reply.error));
  });
  worker.on("error", (cause: unknown) =>
    end(new WeaveError("internal", "the kernel thread failed", { cause })),
  );
  worker.on("exit", (code) => end(new WeaveError("internal", `the kernel thread ended with ${code}`)));

  const post = (request: Request): Promise<unknown> => {
    if (ended !== undefined) return Promise.reject(ended);
    worker.postMessage(request);
    return new Promise<unknown>((resolve, reject) => {
      waiting.set(request.id, { resolve, reject });
    });
  };
  // `operation` and `args` belong together by the signature; the union cannot be built generically. The reply to operation
  // O is O's result: both ends are typed by Kernel.
  const call = <O extends Operation>(operation: O, ...args: Parameters<Kernel[O]>): Promise<Result<O>> =>
    post({ id: ++lastId, operation, args } as Request) as Promise<Result<O>>;

  return {
    inspect: () => call("inspect"),
    linkMtu: (name) => call("linkMtu", name),
    apply: (state) => call("apply", state),
    observe: () => call("observe"),
    async watch(listener) {
      onDrift = listener;
      await post({ id: ++lastId, operation: "watch" });
    },
    faults: () => call("faults"),
    openNetns: (source) => call("openNetns", source),
    // A descriptor is the whole process's, so this needs no other thread.
    async closeNetns(netns) {
      closeSync(netns.fd);
    },
    attach: (spec) => call("attach", spec),
    detach: (hostIfname) => call("detach", hostIfname),
    shapingFaults: (hostIfname, bandwidth) => call("shapingFaults", hostIfname, bandwidth),
    shape: (hostIfname, bandwidth) => call("shape", hostIfname, bandwidth),
    look: (netns, ifname) => call("look", netns, ifname),
    hostEnds: () => call("hostEnds"),
    deadNetns: (ids) => call("deadNetns", ids),
    clear: (devices) => call("clear", devices),
    close() {
      closing ??= (async () => {
        try {
          if (ended === undefined) await call("close");
        } finally {
          await worker.terminate();
        }
      })();
      return closing;
    },
  };
}
