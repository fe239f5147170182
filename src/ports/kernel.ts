// The kernel as the daemon needs it. Implemented by src/kernel (Linux, in a worker thread) and src/kernel/memory.
import type { DatapathState } from "../core/datapath/state.ts";
import type { Bandwidth } from "../core/endpoints/attachment.ts";

export type { Bandwidth };

/** An open network namespace. `id` is stable for the life of the namespace: its inode and SO_NETNS_COOKIE. */
export interface Netns {
  readonly fd: number;
  readonly id: string;
}

/** Where a caller's namespace is: a descriptor the caller holds open (works across mount namespaces), or a path here. */
export type NetnsSource = { readonly pid: number; readonly fd: number } | { readonly path: string };

/** A route inside a container's namespace. */
export interface RouteSpec {
  /** Destination CIDR, "0.0.0.0/0" for the default. */
  readonly dst: string;
  readonly gw?: string;
}

/** A container's interface, as it is to be. */
export interface AttachSpec {
  readonly netns: Netns;
  /** Name inside the namespace. */
  readonly ifname: string;
  /** Name on the host, computed (cni-plugin/host-ifname.ts), at most 15 bytes. */
  readonly hostIfname: string;
  readonly bridge: string;
  readonly mac: string;
  readonly mtu: number;
  /** With prefix. */
  readonly addresses: readonly string[];
  readonly routes: readonly RouteSpec[];
  readonly hairpin: boolean;
  /** Absent: as fast as it goes. */
  readonly bandwidth?: Bandwidth;
}

/** What an attachment came to. */
export interface Attached {
  /** Those that were made; another interface of the namespace has the others' destinations, and goes first. */
  readonly routes: readonly RouteSpec[];
  readonly hostMac: string;
  readonly bridgeMac: string;
}

/** A container's interface as it is now. */
export interface ContainerLink {
  readonly up: boolean;
  readonly mac: string;
  readonly mtu: number;
  /** With prefix, canonical; link-local IPv6 left out. */
  readonly addresses: readonly string[];
  /** Routes of the main table over this interface, connected ones included, canonical. */
  readonly routes: readonly RouteSpec[];
  /** Name of the other end of the pair on this host; absent when it is no veth, or its other end is elsewhere. */
  readonly hostIfname?: string;
}

/** The host end of a container's pair. */
export interface HostEnd {
  /** Name of the bridge it is a port of. */
  readonly bridge?: string;
  readonly up: boolean;
  /** As a port of a bridge; absent when it is none. */
  readonly hairpin?: boolean;
  /** What the container's end has now; absent when it could not be asked. */
  readonly containerMac?: string;
}

/** A route of the host, as far as ranges may overlap with it. */
export interface HostRoute {
  readonly dst: string;
  /** Interface name; empty for routes without one (blackhole, multipath). */
  readonly dev: string;
}

/** What a daemon must know of its host before it starts. */
export interface HostFacts {
  /** All routes of the main table except the default ones. */
  readonly routes: readonly HostRoute[];
  /** Global unicast addresses of interfaces that are up, without loopback, in interface order. */
  readonly addresses: readonly { readonly dev: string; readonly address: string; readonly mtu: number }[];
  /** Source address and MTU of the default route, when there is one. */
  readonly defaultSource?: { readonly address: string; readonly mtu: number };
  /** What is missing, with the package or kernel option that brings it. Empty when all is there. */
  readonly missing: readonly { readonly what: string; readonly brings: string }[];
}

/** What one apply did, and what it could not do. */
export interface DatapathReport {
  /** Human words, one per change made: "fdb add 02:.. dst 10.0.0.2". Empty when nothing had to be done. */
  readonly changes: readonly string[];
  /** What could not be reached; the rest was done. */
  readonly failures: readonly { readonly object: string; readonly message: string }[];
  /** What of the changes put back what an earlier apply had reached and somebody else took away. Absent: nothing. */
  readonly repairs?: readonly Repair[];
}

/** A thing that was put back. */
export interface Repair {
  /** Its kind and name, always the same words: "bridge weave", "sysctl net.ipv4.ip_forward". */
  readonly object: string;
  /** What was done, in the words of DatapathReport.changes. */
  readonly message: string;
}

/** Errors are WeaveError: kernel, netns-*, ifname-exists, feature-missing. Every operation is idempotent or undoes itself. */
export interface Kernel {
  inspect(): Promise<HostFacts>;
  /** MTU of an interface of the host; undefined when there is none of that name. Costs far less than inspect. */
  linkMtu(name: string): Promise<number | undefined>;
  /** Bring the host to `state`; never throws for a single object, reports it. */
  apply(state: DatapathState): Promise<DatapathReport>;
  /** Make the next apply read the kernel again: what others changed or deleted comes back. */
  observe(): Promise<void>;
  /**
   * Look out from now on for what others do to what apply has reached. The listener is told the objects that are not as
   * they were left (as in Repair.object), within some hundred milliseconds, and again as long as it goes on; it should
   * observe and apply. Changes made here are not told. Called once; ends with close().
   */
  watch(listener: (objects: readonly string[]) => void): Promise<void>;
  /**
   * What the kernel does not hold of the state applied last, in words for people, one for each object; empty before the
   * first apply. Looked at after the call, writes nothing. The containers' ports are hostEnds' affair; the bridge's MAC is
   * not compared, because network managers rewrite it, and what it takes along is not told either.
   */
  faults(): Promise<readonly string[]>;
  /** netns-missing, netns-invalid, netns-host. The caller closes what it opened. */
  openNetns(source: NetnsSource): Promise<Netns>;
  closeNetns(netns: Netns): Promise<void>;
  /** Create the veth pair and configure it. On failure nothing of it is left. */
  attach(spec: AttachSpec): Promise<Attached>;
  /** Delete a host end by name, and what shaped its traffic. False when there was nothing. */
  detach(hostIfname: string): Promise<boolean>;
  /** What a host end lacks of these limits, in words for people; empty for one that does not exist. Writes nothing. */
  shapingFaults(hostIfname: string, bandwidth: Bandwidth): Promise<readonly string[]>;
  /** Put back what shapingFaults would tell. False when there was nothing to do. feature-missing, kernel. */
  shape(hostIfname: string, bandwidth: Bandwidth): Promise<boolean>;
  /** An interface inside a namespace; undefined when there is none of that name. */
  look(netns: Netns, ifname: string): Promise<ContainerLink | undefined>;
  /** All veth interfaces of this host that bear a name of ours ("vw" and 12 hexadecimal digits), by name. */
  hostEnds(): Promise<ReadonlyMap<string, HostEnd>>;
  /** Those of `ids` (Netns.id) whose namespace is known to exist no more. One that cannot be judged is not among them. */
  deadNetns(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /**
   * Remove from this host what weave ever made: host ends with their names and what shapes them, the two devices (only if
   * they are of the kinds weave makes), the rule to the routes, the firewall table. Containers lose their network. What
   * was removed, in words for people; empty when nothing was there. Everything is tried before the first error is thrown.
   */
  clear(devices: { readonly bridge: string; readonly vxlan: string }): Promise<readonly string[]>;
  close(): Promise<void>;
}
