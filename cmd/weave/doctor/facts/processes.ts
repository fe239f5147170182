// Processes of the host, as /proc tells them (proc(5)).
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";

/** One process. */
export interface Process {
  readonly pid: number;
  /** As the kernel keeps it: 15 bytes at most. */
  readonly comm: string;
  readonly argv: readonly string[];
  /** In the network namespace of this process. */
  readonly here: boolean;
}

/** Without kernel threads, and without those that end meanwhile. */
export function listProcesses(root: string): Process[] {
  const proc = join(root, "proc");
  const own = linkOf("/proc/self/ns/net");
  return pidsOf(proc).flatMap((pid) => {
    const directory = join(proc, pid);
    const argv = read(join(directory, "cmdline")).split("\0").slice(0, -1);
    if (argv.length === 0) return [];
    const netns = linkOf(join(directory, "ns/net"));
    return [{ pid: Number(pid), comm: read(join(directory, "comm")).trim(), argv, here: netns === own }];
  });
}

/** Who has these sockets open, by inode. Sockets of the kernel's own nobody has. */
export function holdersOf(root: string, inodes: ReadonlySet<string>): ReadonlyMap<string, number> {
  const holders = new Map<string, number>();
  const proc = join(root, "proc");
  for (const pid of inodes.size === 0 ? [] : pidsOf(proc)) {
    const fds = join(proc, pid, "fd");
    for (const fd of namesIn(fds)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(join(fds, fd)))?.[1];
      if (inode !== undefined && inodes.has(inode) && !holders.has(inode)) holders.set(inode, Number(pid));
    }
    if (holders.size === inodes.size) break;
  }
  return holders;
}

/** What a person would call it, and how it is ended: by its service or container if it has one. */
export function describeProcess(root: string, pid: number): { name: string; end: string } {
  const directory = join(root, "proc", String(pid));
  const [program = "", script = ""] = read(join(directory, "cmdline")).split("\0");
  const isInterpreter = /^(node|python[\d.]*|perl|ruby|bash|sh)$/.test(basename(program));
  const name =
    isInterpreter && /^[^-]/.test(script) ? basename(script) : read(join(directory, "comm")).trim();
  const cgroup = read(join(directory, "cgroup"));
  const container = /\bdocker[-/]([0-9a-f]{12})[0-9a-f]{52}/.exec(cgroup)?.[1];
  if (container !== undefined) return { name, end: `docker stop ${container}` };
  const unit = [...cgroup.matchAll(/\/([\w@.:\\-]+\.service)(?=\/|\n|$)/g)].at(-1)?.[1];
  // user@1000.service and the like hold whole sessions.
  const isOwn = unit !== undefined && !/^(user@|session|containerd|docker|kubelet|crio)/.test(unit);
  return { name, end: isOwn ? `systemctl stop ${unit}` : `kill ${pid}` };
}

const pidsOf = (proc: string): string[] => namesIn(proc).filter((name) => /^\d+$/.test(name));

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
