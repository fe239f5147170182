// The libc calls Node does not offer, through koffi: namespaces, raw sockets, two ioctls. The only file that imports koffi.
// Synchronous on purpose: koffi's asynchronous calls run on pool threads, which are in another namespace. Sending and closing
// may, since a descriptor knows its own.

// Not a static import: the main thread, which needs this only where npm raw-socket is missing (echo/), does without its 3 MB.
const { default: koffi } = await import("koffi");

const SEND = "long send(int fd, const uint8_t *buf, size_t len, int flags)";

// null: the symbols of the running process, so that glibc and musl both do.
const libc = koffi.load(null);

/** A C function of numbers and buffers: the typed edge of this FFI; each signature stands beside its use. */
type CInt<A extends readonly unknown[]> = (...args: A) => number;

/** 0, or -1 with errno(). */
export const setns = libc.func("int setns(int fd, int nstype)") as unknown as CInt<[number, number]>;
/** A descriptor, or -1. It belongs to the namespace of the calling thread. */
export const socket = libc.func("int socket(int domain, int type, int protocol)") as unknown as CInt<
  [number, number, number]
>;
const closeFd = libc.func("int close(int fd)");
/** Bytes sent, or -1. `length` and the address are given as bytes of their C structs. */
export const sendto = libc.func(
  "long sendto(int fd, const uint8_t *buf, size_t len, int flags, const uint8_t *addr, uint32_t addrlen)",
) as unknown as CInt<[number, Uint8Array, number, number, Uint8Array, number]>;
/** Bytes sent, or -1. To where the socket is connected; a netlink socket to the kernel. */
export const send = libc.func(SEND) as unknown as CInt<[number, Uint8Array, number, number]>;
const sendBytes = libc.func(SEND);
/** Bytes received, or -1. */
export const recv = libc.func(
  "long recv(int fd, _Out_ uint8_t *buf, size_t len, int flags)",
) as unknown as CInt<[number, Buffer, number, number]>;
/** Index of the interface of that name in the thread's namespace, or 0. */
export const ifIndex = libc.func("unsigned int if_nametoindex(const char *ifname)") as unknown as CInt<
  [string]
>;
/** `value` receives the option, `length` (a u32) says how long it is and becomes how much was written. */
export const getsockopt = libc.func(
  "int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)",
) as unknown as CInt<[number, number, number, Buffer, Uint32Array]>;
/** 0, or -1. The address is given as the bytes of its C struct. */
export const bind = libc.func("int bind(int fd, const uint8_t *addr, uint32_t addrlen)") as unknown as CInt<
  [number, Uint8Array, number]
>;
/** 0, or -1. */
export const setsockopt = libc.func(
  "int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)",
) as unknown as CInt<[number, number, number, Uint8Array, number]>;
/** As getsockopt, for options that read what is asked for from `value`. */
export const getsockoptFor = libc.func(
  "int getsockopt(int fd, int level, int name, _Inout_ uint8_t *value, _Inout_ uint32_t *length)",
) as unknown as CInt<[number, number, number, Buffer, Uint32Array]>;
const ioctlNone = libc.func("int ioctl(int fd, unsigned long request)") as unknown as CInt<[number, number]>;
const pollFd = libc.func("int poll(_Inout_ uint8_t *fds, unsigned long count, int timeout)");
const abortProcess = libc.func("void abort()") as unknown as () => never;

/** Close a descriptor. */
export function close(fd: number): void {
  closeFd(fd);
}

/**
 * Close a descriptor on a pool thread. For packet sockets: their close waits for the kernel's grace period, 15 ms that
 * would be nine tenths of an attach. Closing is the same in every namespace.
 */
export function closeLater(fd: number): void {
  closeFd.async(fd, () => {});
}

/**
 * Send on a pool thread, for requests in which the kernel holds its caller for many milliseconds. Resolves with the bytes
 * sent, or -1; another thread has no errno() here. `bytes` must stay as they are meanwhile.
 */
export function sendLater(fd: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    // koffi calls back with an error of its own, or with what the C function returned.
    sendBytes.async(fd, bytes, bytes.length, 0, (error: Error | null, sent: number) => {
      if (error === null || error === undefined) resolve(sent);
      else reject(error);
    });
  });
}

/** asm-generic/poll.h. */
const POLLIN = 1;

/** Wait on a pool thread, at most `ms`, until there is something to read from `fd`. It must stay open meanwhile. */
export function pollLater(fd: number, ms: number): Promise<boolean> {
  // struct pollfd: fd, events, revents.
  const pollfd = Buffer.alloc(8);
  new Int32Array(pollfd.buffer, pollfd.byteOffset, 1)[0] = fd;
  new Int16Array(pollfd.buffer, pollfd.byteOffset + 4, 1)[0] = POLLIN;
  return new Promise((resolve, reject) => {
    pollFd.async(pollfd, 1, ms, (error: Error | null, ready: number) => {
      if (error === null || error === undefined) resolve(ready > 0);
      else reject(error);
    });
  });
}

/** errno of the last call that returned -1, in this thread. */
export function errno(): number {
  return koffi.errno();
}

/** An ioctl without argument. */
export function ioctl(fd: number, request: number): number {
  return ioctlNone(fd, request);
}

/** End the process at once. process.abort() does not exist in worker threads. */
export function abort(): never {
  return abortProcess();
}
