// Network namespaces: opening and naming them, and running code inside them.
//
// A thread is in one namespace at a time, and everything it opens (sockets, child processes) is born there. The rule is
// therefore: enter, do synchronous work, leave - never an await in between, or another task of this thread runs abroad.
import { closeSync, constants, fstatSync, openSync, statfsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { WeaveError } from "../core/errors.ts";
import type { Netns, NetnsSource } from "../ports/kernel.ts";
import { abort, close, errno, getsockopt, ioctl, setns, socket } from "./libc.ts";
import { errnoName, kernelError } from "./rtnetlink/errors.ts";

/** linux/sched.h. */
const CLONE_NEWNET = 0x40000000;
/** NSFS_MAGIC (linux/magic.h): the file system namespaces are files of. */
const NSFS_MAGIC = 0x6e736673;
/** NS_GET_NSTYPE (linux/nsfs.h): _IO(0xb7, 0x3). */
const NS_GET_NSTYPE = 0xb703;
const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
const SOL_SOCKET = 1;
/** SO_NETNS_COOKIE (asm-generic/socket.h, Linux 5.14): a number no other namespace of this boot ever gets. */
const SO_NETNS_COOKIE = 71;

/** The namespace this thread was born in. Open for ever: it is the only way back. */
const own = openSync("/proc/thread-self/ns/net", "r");
let abroad = false;

let poolWarm: Promise<unknown> | undefined;

/**
 * Must be awaited once before the first inNetns of a process. libuv starts all threads of its pool at the first use of
 * it; were that inside another namespace, they would live there for ever and every asynchronous file or DNS call with them.
 */
export async function warmThreadPool(): Promise<void> {
  poolWarm ??= stat("/");
  await poolWarm;
}

/**
 * Run `fn` with this thread inside the namespace `fd`. `fn` must be synchronous. The way back cannot fail and be
 * survived: the process ends there, and its supervisor starts it again.
 */
export function inNetns<T>(fd: number, fn: () => T extends PromiseLike<unknown> ? never : T): T {
  if (abroad) throw new Error("inNetns within inNetns");
  if (setns(fd, CLONE_NEWNET) !== 0) {
    const name = errnoName(errno());
    if (name === "EINVAL")
      throw new WeaveError("netns-invalid", `descriptor ${fd} is not a network namespace`);
    throw kernelError({ operation: "setns", object: `descriptor ${fd}` }, name);
  }
  abroad = true;
  try {
    return fn();
  } finally {
    if (setns(own, CLONE_NEWNET) !== 0) abort();
    abroad = false;
  }
}

/** Open a namespace; `host` is the one containers may not be in. netns-missing, netns-invalid, netns-host. */
export function openNetns(source: NetnsSource, host: number = own): Netns {
  // /proc/PID/fd/FD reopens what the descriptor holds, also when its path exists only in the caller's mount namespace.
  const path = "path" in source ? source.path : `/proc/${source.pid}/fd/${source.fd}`;
  const fd = openNsfs(path);
  try {
    if (ioctl(fd, NS_GET_NSTYPE) !== CLONE_NEWNET) {
      throw new WeaveError("netns-invalid", `${path} is a namespace, but not a network namespace`);
    }
    const [here, there] = [fstatSync(fd), fstatSync(host)];
    if (here.dev === there.dev && here.ino === there.ino) {
      throw new WeaveError("netns-host", `${path} is the host's own network namespace`, {
        hint: "containers on the host network need no attachment",
      });
    }
    const { inode, cookie } = netnsIdentity(fd);
    return { fd, id: `${inode}-${cookie}` };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * What tells a namespace from every other of this boot. An inode number is given again once its namespace is gone, a
 * cookie never; "0" where the kernel has none (the inode then has to do). Throws when `fd` is no network namespace.
 */
export function netnsIdentity(fd: number): { readonly inode: string; readonly cookie: string } {
  return { inode: String(fstatSync(fd).ino), cookie: inNetns(fd, cookieHere) };
}

/** Descriptor of the namespace this thread belongs to. Never close it. */
export function ownNetns(): number {
  return own;
}

function openNsfs(path: string): number {
  try {
    // Looked at before it is opened: opening a device or a FIFO may do things.
    if (statfsSync(path).type !== NSFS_MAGIC) {
      throw new WeaveError("netns-invalid", `${path} is not a network namespace`, {
        hint: "the runtime deleted the namespace, or gave the path of something else",
      });
    }
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof WeaveError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "EIO";
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ESRCH") {
      throw new WeaveError("netns-missing", `network namespace ${path} does not exist`, { cause: error });
    }
    if (code === "ERR_INVALID_ARG_VALUE" || code === "ENAMETOOLONG" || code === "ELOOP") {
      throw new WeaveError("netns-invalid", `${JSON.stringify(path).slice(0, 120)} is not a path`, {
        cause: error,
      });
    }
    throw kernelError({ operation: "netns open", object: path }, code, error);
  }
}

function cookieHere(): string {
  const fd = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) throw kernelError({ operation: "socket", object: "unix" }, errnoName(errno()));
  try {
    const value = Buffer.alloc(8);
    const rc = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, Uint32Array.of(value.length));
    return rc === 0 ? (new BigUint64Array(value.buffer, value.byteOffset, 1)[0]?.toString() ?? "0") : "0";
  } finally {
    close(fd);
  }
}
