// What doctor can find on a host, and how it is told.
import { z } from "zod";
import { FINDING_CODES } from "../cni/finding.ts";

/** Stable; docs/doctor.md lists each with its meaning. Those of the CNI directories are FINDING_CODES. */
export const DOCTOR_CODES = [
  "check-failed", // a check could not look, or not in time
  "not-running", // launched here before, and nobody answers
  "no-answer", // somebody listens and does not answer, or in another form
  "kernel-fault", // the daemon says the kernel does not hold what it should
  "fought-over", // something takes away again and again what the daemon puts into the kernel
  "feature-missing", // a kernel feature or a tool is not there
  "kernel-old", // the kernel cannot suppress ARP and ND on the bridge
  "nft-refuses", // nft or the kernel refuses our tables
  "sysctl", // a kernel setting is not what it must be
  "sysctl-read-only", // /proc/sys cannot be written
  "forward-drops", // another firewall drops what containers send through this host
  "input-drops", // a chain drops what no rule accepts, where peers come in
  "firewalld-ports", // firewalld does not let peers in
  "managed-link", // a network manager believes that a link of ours is its own
  "link-taken", // a link of another kind has the name of one of ours
  "port-taken", // somebody else holds a port of ours
  "mtu-too-large", // containers' full packets do not fit the underlay
  "path-mtu", // full packets do not arrive at a peer, small ones do
  "path-down", // no packet to a peer arrives, though its daemon answers
  "range-overlap", // the range has addresses that a route of this host leads elsewhere
  "nameserver-in-range", // the host's nameserver has an address of the range
  "cluster-cidr", // Kubernetes is told that pods have other addresses
  "service-cidr", // Kubernetes' services have addresses of the range
  "not-launched", // the daemon never ran here
  "not-set-up", // weave setup never ran here
  "network-problem", // weave status tells of a problem beyond this host
  "mtu-lowered", // a peer with a smaller underlay keeps all containers at its MTU
  "manager-unaware", // a network manager runs and was not told to leave our links alone
] as const;

export const finding = z.object({
  code: z.enum([...DOCTOR_CODES, ...FINDING_CODES]),
  /** What it is about: a path, a link, a port, a setting. */
  object: z.string(),
  message: z.string(),
  /** What mends it, for a shell run by root. */
  command: z.string(),
});
/** Something wrong, or a note of something that may become wrong. */
export type Finding = z.infer<typeof finding>;
