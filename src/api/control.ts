// The control API of weaver: HTTP over the unix socket weave.sock. Paths, request and answer schemas, shared by daemon
// and CLI. POST /v1/cni belongs to the plugin forwarder (cni-plugin/request.ts).
import { z } from "zod";
import { report } from "./report.ts";
import { status } from "./status.ts";

/** host or host:port; IPv6 in brackets when it has a port. */
const peerAddress = z.string().min(1).max(255);

/** Of a peer, or its nickname; of a cluster. */
const name = z.string().max(255);
/** As many as one decision may remove. */
const names = z.array(name).max(64);

/** Addresses with prefix, and subnets; "default" is the default subnet of each range. */
const wish = {
  addresses: z.array(z.string().max(64)).max(16),
  subnets: z.array(z.string().max(64)).max(16).default([]),
};
/** As the CNI specification has it for container ids. */
const ident = z
  .string()
  .max(128)
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/);
const descriptor = z.strictObject({ pid: z.int().positive(), fd: z.int().nonnegative() });
const holder = z.object({ ident: z.string(), mac: z.string().optional(), addresses: z.array(z.string()) });
const links = z.array(holder.extend({ ifname: z.string() }));

/** Every call there is: method, path, and the schemas of question and answer. */
export const routes = {
  status: { method: "GET", path: "/v1/status", answer: status },
  connect: {
    method: "POST",
    path: "/v1/connect",
    request: z.strictObject({ peers: z.array(peerAddress).max(1024), replace: z.boolean() }),
    answer: z.object({ targets: z.array(z.string()) }),
  },
  expose: {
    method: "POST",
    path: "/v1/expose",
    request: z.strictObject({ ...wish, masquerade: z.boolean() }),
    answer: z.object({ addresses: z.array(z.string()) }),
  },
  /** As expose names them: addresses, or all in these subnets. Answers what was exposed and is no more. */
  hide: {
    method: "POST",
    path: "/v1/hide",
    request: z.strictObject(wish),
    answer: z.object({ addresses: z.array(z.string()) }),
  },
  /** What has addresses here: the bridge and containers. */
  ps: {
    method: "GET",
    path: "/v1/ps",
    answer: z.object({
      /** `ident` is a container's id, or "weave:expose" for the bridge; `network` and `ifname` are absent for that. */
      holders: z.array(holder.extend({ network: z.string().optional(), ifname: z.string().optional() })),
    }),
  },
  /** The namespace is a descriptor that the caller holds open. */
  attach: {
    method: "POST",
    path: "/v1/attach",
    request: z.strictObject({ ...wish, ident, netns: descriptor }),
    answer: z.object({ links }),
  },
  /** Without a namespace: of a container that does not run. */
  detach: {
    method: "POST",
    path: "/v1/detach",
    request: z.strictObject({ ...wish, ident, netns: descriptor.optional() }),
    answer: z.object({ links }),
  },
  report: { method: "GET", path: "/v1/report", answer: report },
  /** `force`: without a quorum. `confirm`: the same names once more, as a person typed them again; empty without force. */
  rmpeer: {
    method: "POST",
    path: "/v1/rmpeer",
    request: z.strictObject({ peers: names.min(1), force: z.boolean(), confirm: names }),
    answer: z.object({
      cluster: z.string(),
      /** Of the decision. */
      epoch: z.int(),
      /** Name of who takes their ranges. */
      heir: z.string().optional(),
      removed: z.array(z.string()),
      /** Those that had been removed before. */
      already: z.array(z.string()),
    }),
  },
  /** Ranges are handed over when the answer comes; then the daemon removes its state and all it made, and ends. */
  reset: {
    method: "POST",
    path: "/v1/reset",
    request: z.strictObject({ force: z.boolean() }),
    answer: z.object({
      /** Of this peer: what the others know it by. */
      name: z.string(),
      heir: z.string().exactOptional(),
      /** Of the heir. */
      nickname: z.string().exactOptional(),
      /** What the heir got of each --ipalloc-range. */
      given: z.array(z.object({ range: z.string(), addresses: z.number() })),
      voter: z.enum(["none", "replaced", "still-counted"]),
      /** With force: why nobody took the ranges; they stay this host's until somebody removes it. */
      abandoned: z.string().optional(),
      pid: z.int(),
      dataDir: z.string(),
    }),
  },
  /** All hosts of this cluster move to another; with force this host alone. */
  join: {
    method: "POST",
    path: "/v1/join",
    request: z.strictObject({ cluster: name, force: z.boolean() }),
    answer: z.object({ cluster: z.string() }),
  },
  stop: { method: "POST", path: "/v1/stop", answer: z.object({ pid: z.int() }) },
} as const;

/** The answer to `weave rmpeer`. */
export type Removal = z.infer<typeof routes.rmpeer.answer>;
/** The answer to `weave reset`. */
export type Departure = z.infer<typeof routes.reset.answer>;

/** The answer to `weave ps`. */
export type Holders = z.infer<typeof routes.ps.answer>;
/** The answers to `weave attach` and `weave detach`. */
export type Links = z.infer<typeof routes.attach.answer>;
export type Wish = z.infer<typeof routes.hide.request>;
export type AttachRequest = z.infer<typeof routes.attach.request>;
export type DetachRequest = z.infer<typeof routes.detach.request>;

/** Every answer that is not 2xx. */
export const apiError = z.object({ code: z.string(), message: z.string(), hint: z.string().optional() });
export type ApiError = z.infer<typeof apiError>;
