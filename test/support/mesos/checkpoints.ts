// What the isolator keeps of each container below its root directory, and finds there again after the agent restarted:
//
//   ROOT/CONTAINER/ns                                 bind mount of the container's network namespace
//   ROOT/CONTAINER/NETWORK/network.conf               what the plugin got on stdin
//   ROOT/CONTAINER/NETWORK/IFNAME/network.info        what the plugin said on stdout
//   ROOT/CONTAINER/{hostname,hosts,resolv.conf}       files for the container
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** NSFS_MAGIC of linux/magic.h: the file system of namespace handles. */
const NSFS_MAGIC = 0x6e736673;

/** One interface of a container. */
export interface Attachment {
  readonly network: string;
  readonly ifname: string;
}

export class Checkpoints {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    mkdirSync(root, { recursive: true });
  }

  containers(): string[] {
    return directories(this.#root);
  }

  dir(container: string): string {
    return join(this.#root, container);
  }

  /** Path of the namespace handle, which plugins get as CNI_NETNS. */
  ns(container: string): string {
    return join(this.dir(container), "ns");
  }

  conf(container: string, network: string): string {
    return join(this.dir(container), network, "network.conf");
  }

  interfaceDir(container: string, { network, ifname }: Attachment): string {
    return join(this.dir(container), network, ifname);
  }

  info(container: string, attachment: Attachment): string {
    return join(this.interfaceDir(container, attachment), "network.info");
  }

  attachments(container: string): Attachment[] {
    return directories(this.dir(container)).flatMap((network) =>
      directories(join(this.dir(container), network)).map((ifname) => ({ network, ifname })),
    );
  }

  mountNamespace(container: string, source: string): void {
    mkdirSync(this.dir(container), { recursive: true });
    writeFileSync(this.ns(container), "");
    execFileSync("mount", ["--bind", source, this.ns(container)]);
  }

  /** False for the plain file that a reboot leaves where the mount was. */
  isNamespace(container: string): boolean {
    return existsSync(this.ns(container)) && statfsSync(this.ns(container)).type === NSFS_MAGIC;
  }

  unmountNamespace(container: string): void {
    if (this.isNamespace(container)) execFileSync("umount", [this.ns(container)]);
  }

  remove(container: string): void {
    this.unmountNamespace(container);
    rmSync(this.dir(container), { recursive: true });
  }
}

function directories(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}
