// What GET /v1/status answers: the whole state an operator may want, in one consistent picture. The CLI renders parts of
// it; scripts read it with --json. Field names and codes are stable; fields may be added.
import { z } from "zod";

/** An instant as ISO 8601 text, UTC. */
const instant = z.string();

/** Something a person may have to act on. */
export const problem = z.object({
  /** Stable; docs/status.md lists them. */
  code: z.enum([
    "waiting-for-peers", // launched with peers, none reachable, no ring yet
    "target-unreachable", // an address given to launch or connect cannot be reached
    "peer-unreachable", // a known peer has no path to us
    "refused", // somebody tried to join and was turned away (clone, other range ...)
    "clone", // another host speaks with this peer's name
    "foreign-cluster", // a neighbour belongs to another cluster
    "address-conflict", // two peers hold one address
    "address-lost", // a container here has an address that another host holds since this one was removed
    "split", // two hosts were told different things by the decision of one epoch
    "range-exhausted", // this host has no free address
    "founding", // too few hosts are connected to found the cluster
    "no-quorum", // too few voters answer to decide anything
    "taking", // addresses of a removed peer wait until every host that stays has answered
    "datapath", // the kernel does not hold what it should
    "path-mtu", // large packets to a peer are lost on the way
    "path-down", // no packet to a peer arrives, though its daemon answers
  ]),
  /** What it is about: a peer, an address, a kernel object. */
  object: z.string(),
  since: instant,
  message: z.string(),
  /** The command to run next. */
  command: z.string(),
});
export type Problem = z.infer<typeof problem>;

/** What is known of the way to a peer, by echoes over VXLAN from bridge to bridge. */
const path = {
  /** Bytes of the largest packet containers send there. */
  mtu: z.int().optional(),
  /** Packets of that size arrive; do not; or nobody can tell. */
  verified: z.enum(["yes", "no", "unverified"]).optional(),
  verifiedSince: instant.optional(),
  /** Why not. */
  reason: z.string().optional(),
  /** Of the last full-size echo; `rttMs` is the daemons' own. */
  pathRttMs: z.number().optional(),
};

/** The whole answer to `/v1/status`. Names are stable; fields may be added. Instants are ISO 8601 in UTC. */
export const status = z.object({
  /** True exactly when `problems` is empty. */
  ok: z.boolean(),
  problems: z.array(problem),
  version: z.string(),
  pid: z.int(),
  since: instant,
  name: z.string(),
  nickname: z.string(),
  /** Identity of the cluster; absent before it is founded or found. */
  cluster: z.string().optional(),
  /** What the last decision says; absent before there is a cluster. */
  configuration: z
    .object({
      epoch: z.int(),
      voters: z.array(z.object({ name: z.string(), nickname: z.string(), reachable: z.boolean() })),
      /** So many voters must answer for the next decision. */
      quorum: z.int(),
      /** The last removal: its epoch, who takes the ranges, how many hosts stayed by name. */
      remaining: z.object({ since: z.int(), heir: z.string(), names: z.int() }).optional(),
      /** Decisions by force: the clusters this one continues, the newest last. */
      lineage: z.array(
        z.object({
          cluster: z.string(),
          epoch: z.int(),
          by: z.string(),
          removed: z.array(z.string()),
          at: instant,
        }),
      ),
    })
    .optional(),
  /** Addresses of containers here that another host holds since this one was removed. */
  lost: z.array(z.object({ address: z.string(), holder: z.string(), by: z.string() })),
  /** The newest file with a state that this host set aside. */
  setAside: z.object({ file: z.string(), reason: z.string(), at: instant }).optional(),
  listen: z.object({ host: z.string(), port: z.int() }),
  /** Who may come in over `listen`. */
  access: z
    .object({
      /** Peers prove a common password to each other, and what they say is encrypted; never containers' packets. */
      password: z.boolean(),
      /** Whom the listening addresses let through as far as this host can tell; firewalls are not looked at. */
      reach: z.enum(["host", "networks", "everywhere"]),
      /** Addresses listened on, with the prefix of their network; without those of loopback and of the overlay. */
      addresses: z.array(z.string()),
    })
    .optional(),
  underlay: z.string(),
  datapath: z.object({
    bridge: z.string(),
    vxlan: z.string(),
    vni: z.int(),
    port: z.int(),
    /** Of bridge and containers: the least over all hosts of what their underlay leaves. */
    mtu: z.int(),
    /** What this host's own underlay leaves. */
    ownMtu: z.int().optional(),
    /** Whose underlay leaves the least; absent: this host's. Nickname. */
    mtuOf: z.string().optional(),
    /** The last time it changed while the daemon ran. Containers' interfaces were changed with it. */
    mtuChange: z.object({ from: z.int(), to: z.int(), at: instant }).optional(),
    /** The kernel holds what it should. */
    settled: z.boolean(),
  }),
  /** What others changed in the kernel and the daemon put back, in the last hour; the newest first. */
  repairs: z
    .array(
      z.object({
        /** Kind and name: "bridge weave", "sysctl net.ipv4.ip_forward". */
        object: z.string(),
        /** When it was put back last, and first. */
        time: instant,
        first: instant,
        /** How often. */
        count: z.int(),
        /** What was done the last time. */
        message: z.string(),
        /** Somebody takes it away again and again: it is put back no sooner than this. */
        notBefore: instant.optional(),
      }),
    )
    .optional(),
  /** Addresses the bridge has, with prefix. */
  exposed: z.array(z.object({ cidr: z.string(), masquerade: z.boolean() })),
  connections: z.array(
    z.object({
      /** "out": this host dialled. Targets not connected are listed as "out", too. */
      direction: z.enum(["out", "in"]),
      address: z.string(),
      state: z.enum(["established", "indirect", "connecting", "retrying", "self", "refused"]),
      peer: z.string().optional(),
      nickname: z.string().optional(),
      rttMs: z.number().optional(),
      since: instant.optional(),
      /** Why it is not established, and when it is tried again. */
      failure: z.string().optional(),
      /** The reason for scripts: codes of docs/wire.md, or dial-failed. */
      failureCode: z.string().optional(),
      nextTry: instant.optional(),
      /** The way of containers' packets to that peer, as in `paths`; absent when not established. */
      path: z.string().optional(),
      ...path,
    }),
  ),
  /** The way of containers' packets to each other peer, connected or not: VXLAN, straight to its host. */
  paths: z
    .array(
      z.object({
        peer: z.string(),
        nickname: z.string(),
        underlay: z.string(),
        /** The way of what daemons tell each other: "direct", "by NICKNAME"; absent when there is none. */
        gossip: z.string().optional(),
        ...path,
      }),
    )
    .optional(),
  /** Addresses given to launch and connect. */
  targets: z.array(
    z.object({
      address: z.string(),
      /** "established": its peer is connected, whoever dialled; "indirect": over other peers, there is room for no more. */
      state: z.enum(["established", "indirect", "connecting", "retrying", "self"]),
      peer: z.string().optional(),
      nickname: z.string().optional(),
      /** Since when and why not; and when it is tried again. */
      since: instant.optional(),
      failure: z.string().optional(),
      failureCode: z.string().optional(),
      nextTry: instant.optional(),
    }),
  ),
  /** Peers that gossip tells of are dialled, too. */
  discovery: z.boolean(),
  /** Connections beyond it are made only where they hold the mesh together. */
  connLimit: z.int(),
  peers: z.array(
    z.object({
      name: z.string(),
      nickname: z.string(),
      self: z.boolean(),
      reachable: z.boolean(),
      /** Set when it is not reachable. */
      unreachableSince: instant.optional(),
      underlay: z.string(),
      mtu: z.int(),
      software: z.string(),
      connections: z.array(z.string()),
      containers: z.int(),
    }),
  ),
  ipam: z.array(
    z.object({
      range: z.string(),
      defaultSubnet: z.string(),
      state: z.enum(["ready", "waiting"]),
      size: z.number(),
      /** Addresses of this host: owned, and held by its containers and bridge. */
      owned: z.number(),
      used: z.number(),
      owners: z.array(
        z.object({
          name: z.string(),
          nickname: z.string(),
          self: z.boolean(),
          reachable: z.boolean(),
          addresses: z.number(),
          ranges: z.array(z.string()),
          /** Addresses of its containers and bridge, as far as they were announced. */
          used: z.number().optional(),
          /** Set when it is not reachable. */
          unreachableSince: instant.optional(),
          /** It was removed: these addresses wait for the heir. */
          removed: z.literal(true).optional(),
          /** What is wrong, and the command that mends it. */
          problem: z.string().optional(),
          command: z.string().optional(),
        }),
      ),
      /** Addresses of removed peers that the heir has not taken yet, and whom it waits for. Names. */
      taking: z
        .object({
          addresses: z.number(),
          of: z.array(z.string()),
          heir: z.string(),
          waitingFor: z.array(z.string()),
        })
        .optional(),
    }),
  ),
  endpoints: z.array(
    z.object({
      address: z.string(),
      mac: z.string(),
      peer: z.string(),
      nickname: z.string(),
      label: z.string(),
      local: z.boolean(),
    }),
  ),
});
export type Status = z.infer<typeof status>;
