// The stage of the contract's cases: a daemon on each host, and libcni as a runtime there would use it.
import { mkdtempSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach } from "vitest";
import type { JsonObject } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { type Lab, useLab } from "../support/lab.ts";
import {
  type Attachment,
  Libcni,
  type LibcniOptions,
  type Network,
  parseNetwork,
} from "../support/libcni/libcni.ts";
import { addressOf } from "./results.ts";

/** Where Debian puts the reference plugins. */
export const DEBIAN = "/usr/lib/cni";

/** What a container asks for beside a name and a namespace. */
export type Wishes = Pick<Attachment, "args" | "capabilityArgs">;

export class Rig {
  readonly lab: Lab;
  /** Attached and not detached through here. */
  readonly living = new Set<Attached>();
  readonly #libraries = new Map<Host, Libcni>();

  constructor(lab: Lab) {
    this.lab = lab;
  }

  get host(): Host {
    return this.lab.host(1);
  }

  /** The library of the first host's runtime. */
  get cni(): Libcni {
    return this.cniOf(this.host);
  }

  cniOf(host: Host): Libcni {
    const known = this.#libraries.get(host);
    if (known !== undefined) return known;
    const library = this.libraryOf(host);
    this.#libraries.set(host, library);
    return library;
  }

  /** Another runtime of a host: a cache of its own. */
  libraryOf(host: Host, options: Partial<LibcniOptions> = {}): Libcni {
    return new Libcni({
      netns: host.namespace.path,
      binDirs: [host.cniBinDir, DEBIAN],
      cacheDir: mkdtempSync(join(this.lab.dir, "libcni-")),
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      ...options,
    });
  }

  /**
   * A runtime without ip6tables. Debian's portmap, given an IPv4 mapping, looks on CHECK for rules in ip6tables that it
   * never made (1.1.1), unless there is no ip6tables.
   */
  libraryWithoutIp6tables(host: Host): Libcni {
    const bin = mkdtempSync(join(this.lab.dir, "path-"));
    symlinkSync("/usr/sbin/iptables", join(bin, "iptables"));
    return this.libraryOf(host, { env: { PATH: bin } });
  }

  /** weave-net alone; `config` holds its fields, `cniVersion` and `name` included. */
  network(config: JsonObject = {}): Network {
    return parseNetwork({ name: "weave", cniVersion: "1.0.0", type: "weave-net", ...config });
  }

  /** weave-net with others behind it, or around it. */
  chain(cniVersion: string, plugins: readonly JsonObject[]): Network {
    return parseNetwork({ name: "weave", cniVersion, plugins });
  }

  pod(label = "c"): Container {
    return this.lab.container(this.host, label);
  }

  /** A pod attached by libcni. */
  async attached(network: Network = this.network(), wishes: Wishes = {}, label = "c"): Promise<Attached> {
    const pod = this.pod(label);
    return this.attach(pod, network, wishes);
  }

  async attach(pod: Container, network: Network = this.network(), wishes: Wishes = {}): Promise<Attached> {
    const attachment = attachmentOf(pod, "eth0", wishes);
    const result = await this.cniOf(pod.host).add(network, attachment);
    const attached = { pod, network, attachment, result, address: addressOf(result) };
    this.living.add(attached);
    return attached;
  }

  async detach(attached: Attached): Promise<void> {
    const { pod, network, attachment } = attached;
    await this.cniOf(pod.host).del(network, attachment);
    this.living.delete(attached);
  }
}

export interface Attached {
  readonly pod: Container;
  readonly network: Network;
  readonly attachment: Attachment;
  readonly result: JsonObject;
  /** The first one, without prefix. */
  readonly address: string;
}

/** Registers the making of `hosts` hosts, daemons running and bridges exposed, around the tests of a file. */
export function useRig({
  hosts = 1,
  launch = [],
  expose = true,
}: {
  readonly hosts?: number;
  /** Options of every `weave launch`. */
  readonly launch?: readonly string[];
  /** So that the first container changes nothing that later ones do not. */
  readonly expose?: boolean;
} = {}): Rig {
  const rig = new Rig(useLab(hosts));
  beforeAll(async () => {
    const [first, ...others] = rig.lab.hosts;
    await first?.launch(...launch);
    await Promise.all(others.map((host) => host.launch(...launch, first?.address ?? "")));
    await rig.lab.untilAllOk();
    if (expose) for (const host of rig.lab.hosts) await host.weaveOk("expose");
  });
  // What a failed test leaves must not fail those after it.
  let earlier: ReadonlySet<Attached> = new Set();
  beforeEach(() => {
    earlier = new Set(rig.living);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state !== "fail") return;
    for (const one of rig.living) if (!earlier.has(one)) await rig.detach(one).catch(() => undefined);
  });
  return rig;
}

export function attachmentOf(pod: Container, ifname = "eth0", wishes: Wishes = {}): Attachment {
  return { containerId: pod.id, netns: pod.namespace.path, ifname, ...wishes };
}
