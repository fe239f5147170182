// Which network namespaces exist no more, judged by what /proc shows. Only positive evidence counts: a namespace that
// cannot be judged is not called dead, because its container's addresses would be given to another.
//
// A namespace lives while a thread is in it, a bind mount shows it or a descriptor holds it. Runtimes bind their
// namespaces, often in a mount namespace of their own, so the mounts of all of them are read.
import { closeSync, constants, openSync } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { netnsIdentity } from "./netns.ts";

/** Inode -> paths by which to open what refers to it; some may not be opened. */
type Visible = Map<string, string[]>;

/** Reads under way at once. The pool behind them has four threads. */
const AT_ONCE = 16;
/** Enough that one of them can be opened; a host's own namespace has hundreds. */
const MAX_PATHS = 32;
const LINK = /^net:\[(\d+)\]$/;

/**
 * Those of `ids` (Netns.id: "inode-cookie") that are gone: nothing refers to the inode, or what has it now is another
 * namespace. Empty when /proc hides anything that could refer to one.
 */
export async function deadNetns(ids: readonly string[]): Promise<ReadonlySet<string>> {
  const asked = ids.flatMap((id) => {
    const [, inode, cookie] = /^(\d+)-(\d+)$/.exec(id) ?? [];
    return inode === undefined || cookie === undefined ? [] : [{ id, inode, cookie }];
  });
  if (asked.length === 0) return new Set();
  try {
    const visible: Visible = new Map();
    await seeProcesses(visible);
    // Rare, and worth a second, longer look: threads that stepped into a namespace, descriptors that alone hold one.
    if (asked.some(({ inode }) => !visible.has(inode))) await seeProcesses(visible, seeThreadsAndDescriptors);
    return new Set(asked.filter((one) => isDead(one, visible)).map(({ id }) => id));
  } catch (error) {
    if (error instanceof Unreadable) return new Set();
    throw error;
  }
}

/** /proc does not show everything: no judgement. */
class Unreadable extends Error {}

/** Processes before mounts: a runtime makes a namespace, binds it, and then leaves it. */
async function seeProcesses(
  visible: Visible,
  more?: (pid: string, visible: Visible) => Promise<void>,
): Promise<void> {
  const processes = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  // A /proc that hides processes (hidepid) hides the first one, too.
  if (!processes.includes("1")) throw new Unreadable();
  await each(processes, async (pid) => {
    await seeLink(`/proc/${pid}`, visible);
    await more?.(pid, visible);
  });
  await seeMounts(processes, visible);
}

function isDead({ inode, cookie }: { inode: string; cookie: string }, visible: Visible): boolean {
  const paths = visible.get(inode);
  if (paths === undefined) return true;
  // Kernels before 5.14 have no cookie; then the inode has to do.
  if (cookie === "0") return false;
  // All that refer to one inode at one time are one namespace: the first that opens tells.
  for (const path of paths) {
    try {
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const now = netnsIdentity(fd);
        if (now.inode === inode) return now.cookie !== cookie;
      } finally {
        closeSync(fd);
      }
    } catch {
      // Ended, hidden, or no namespace at all.
    }
  }
  return false;
}

/** The namespace of a process or thread. */
async function seeLink(task: string, visible: Visible): Promise<void> {
  const path = `${task}/ns/net`;
  try {
    see(LINK.exec(await readlink(path))?.[1], path, visible);
  } catch (error) {
    if (isGone(error)) return;
    if (!isDenied(error)) throw error;
    // Whose link may not be read may still be known to share its namespace with one whose link may be.
    if (!(await sharesKnownNetns(task))) throw new Unreadable();
  }
}

async function seeThreadsAndDescriptors(pid: string, visible: Visible): Promise<void> {
  for (const tid of await entries(`/proc/${pid}/task`)) {
    if (tid !== pid) await seeLink(`/proc/${pid}/task/${tid}`, visible);
  }
  // Not the links: that of a descriptor whose mount is gone does not say what it is.
  for (const fd of await entries(`/proc/${pid}/fdinfo`)) {
    const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, "utf8").catch(() => "");
    see(/^ino:\s+(\d+)$/m.exec(info)?.[1], `/proc/${pid}/fd/${fd}`, visible);
  }
}

/** Bind mounts of namespaces, in every mount namespace some process is in. */
async function seeMounts(processes: readonly string[], visible: Visible): Promise<void> {
  const seen = new Set<string>();
  await each(processes, async (pid) => {
    const view = await mountView(pid);
    if (view !== undefined && seen.has(view)) return;
    if (view !== undefined) seen.add(view);
    let table: string;
    try {
      table = await readFile(`/proc/${pid}/mountinfo`, "utf8");
    } catch (error) {
      if (view !== undefined) seen.delete(view);
      if (isGone(error)) return;
      throw isDenied(error) ? new Unreadable() : error;
    }
    for (const line of table.split("\n")) {
      const [, , , root, point] = line.split(" ", 5);
      if (root === undefined || point === undefined) continue;
      see(LINK.exec(root)?.[1], `/proc/${pid}/root${unescapeMount(point)}`, visible);
    }
  });
}

/** Processes with the same view have the same table; undefined when it cannot be told, and the table must be read. */
async function mountView(pid: string): Promise<string | undefined> {
  try {
    const [mounts, root] = await Promise.all([
      readlink(`/proc/${pid}/ns/mnt`),
      readlink(`/proc/${pid}/root`),
    ]);
    return `${mounts} ${root}`;
  } catch {
    return undefined;
  }
}

/**
 * Whether some process whose namespace can be seen is in the same one: each network namespace numbers the files below its
 * /proc/net by itself, and everyone may look at the numbers. Asked for init in a sandbox, which has more rights than we.
 */
async function sharesKnownNetns(task: string): Promise<boolean> {
  const inode = await procNetInode(task);
  if (inode === undefined) return false;
  for (const pid of ["self", ...(await readdir("/proc")).filter((name) => /^\d+$/.test(name))]) {
    if ((await procNetInode(`/proc/${pid}`)) !== inode) continue;
    const seen = await readlink(`/proc/${pid}/ns/net`).catch(() => undefined);
    if (seen !== undefined) return true;
  }
  return false;
}

async function procNetInode(task: string): Promise<number | undefined> {
  try {
    return (await lstat(`${task}/net/dev`)).ino;
  } catch {
    return undefined;
  }
}

function see(inode: string | undefined, path: string, visible: Visible): void {
  if (inode === undefined) return;
  const paths = visible.get(inode);
  if (paths === undefined) visible.set(inode, [path]);
  else if (paths.length < MAX_PATHS) paths.push(path);
}

/** A bounded number at a time. */
async function each(items: readonly string[], work: (item: string) => Promise<void>): Promise<void> {
  const left = [...items];
  const one = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

async function entries(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

/** mountinfo writes blanks, tabs, newlines and backslashes in octal (proc(5)). */
function unescapeMount(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The process ended since /proc was listed, or is a zombie. */
function isGone(error: unknown): boolean {
  return hasCode(error, ["ENOENT", "ESRCH", "EINVAL"]);
}

function isDenied(error: unknown): boolean {
  return hasCode(error, ["EACCES", "EPERM"]);
}

function hasCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.some((code) => code === error.code);
}
