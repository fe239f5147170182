// What the control API does, on a daemon: requests to the core, and the few things around them that are this process's.
import { z } from "zod";
import type { CniPlugin } from "../../cni-plugin/handle.ts";
import { type AsideFile, asideFiles } from "../../src/adapters/aside-file.ts";
import type { ControlHandlers } from "../../src/adapters/http/server.ts";
import { statusAnswer } from "../../src/adapters/http/status.ts";
import { markLeaving } from "../../src/adapters/peer-marker.ts";
import type { Departure } from "../../src/api/control.ts";
import type { Status } from "../../src/api/status.ts";
import type { PathState } from "../../src/core/datapath/paths.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { accepted } from "../../src/daemon/attachments.ts";
import { checkExposed, checkTarget, plainTarget } from "../../src/daemon/config.ts";
import type { Daemon, DaemonPorts } from "../../src/daemon/daemon.ts";
import { holdersOf, linksOf, namedBy, processFacts } from "./holders.ts";

/** What `status` tells of the process; it does not change while that runs. */
export interface ProcessFacts {
  readonly version: string;
  readonly pid: number;
  readonly listen: { readonly host: string; readonly port: number };
  /** Addresses come and go, so it is looked at each time. */
  readonly access: () => NonNullable<Status["access"]>;
  /** What is known of the path to each peer. */
  readonly paths: () => ReadonlyMap<string, PathState>;
  readonly dataDir: string;
}

/** How a user wants the daemon to end: `reset` removes all there is afterwards. */
export type End = "stop" | "reset";

/** `end` is called after the answer is on its way. */
export function createHandlers(
  daemon: Daemon,
  { kernel, clock, meter }: Pick<DaemonPorts, "kernel" | "clock" | "meter">,
  cni: CniPlugin,
  { dataDir, access, paths, ...facts }: ProcessFacts,
  end: (how: End) => void,
): ControlHandlers {
  const { follower } = daemon;
  const status = () =>
    statusAnswer(
      daemon.node,
      {
        ...{ ...facts, ...newestAside(dataDir), access: access(), settled: follower.isSettled() },
        ...{ failures: follower.failures(), repairs: follower.repairs() },
        ...{ paths: paths(), mtuChange: follower.mtuChange() },
      },
      clock.now(),
    );
  return {
    status,
    async connect(peers, replace) {
      for (const peer of peers) checkTarget(peer);
      accepted(await daemon.request({ kind: "connect", targets: peers, replace }));
      return { targets: targetsOf(daemon) };
    },
    async forget(peers) {
      for (const peer of peers) checkTarget(peer);
      const before = targetsOf(daemon);
      const { port } = daemon.node.config;
      const named = new Set(peers.map((peer) => plainTarget(peer, port)));
      const forgotten = before.filter((target) => named.has(plainTarget(target, port)));
      if (forgotten.length > 0) accepted(await daemon.request({ kind: "forget", targets: forgotten }));
      return { forgotten, targets: targetsOf(daemon) };
    },
    async expose({ addresses, subnets }, masquerade, signal) {
      if (addresses.length > 0) {
        const host = await kernel.inspect();
        for (const address of addresses) checkExposed(address, daemon.node.config.universes, host);
      }
      // The core takes named addresses, or one subnet, at a time; each is idempotent.
      const wishes = [
        ...(addresses.length > 0 || subnets.length === 0 ? [{ addresses }] : []),
        ...subnets.map((subnet) => ({ addresses: [], ...(subnet === "default" ? {} : { subnet }) })),
      ];
      const exposed: string[] = [];
      for (const wish of wishes) {
        const reply = accepted(await daemon.request({ kind: "expose", ...wish, masquerade }, signal));
        exposed.push(...(reply.addresses ?? []));
      }
      await follower.settled();
      return { addresses: [...new Set(exposed)] };
    },
    async hide(wish) {
      const addresses = namedBy(wish, daemon);
      const reply = accepted(await daemon.request({ kind: "hide", addresses }));
      await follower.settled();
      return { addresses: [...(reply.addresses ?? [])] };
    },
    ps: () => holdersOf(daemon),
    attach: async ({ ident, netns, ...wish }, signal) => ({
      links: linksOf(await cni.attach({ ident, netns }, wish, signal)),
    }),
    detach: async ({ ident, netns, ...wish }, signal) => ({
      links: linksOf(await cni.detach(netns === undefined ? { ident } : { ident, netns }, wish, signal)),
    }),
    report: async () => ({
      ...status(),
      holders: holdersOf(daemon).holders,
      faults: [...(await kernel.faults())],
      process: processFacts(),
    }),
    async rmpeer(peers, force, confirm) {
      if (force) checkConfirmed(peers, confirm);
      const request = { kind: "remove", peers } as const;
      const { decision } = accepted(await daemon.request(force ? { ...request, force } : request));
      if (decision === undefined) throw new Error("removed without a decision");
      return { ...decision, removed: [...decision.removed], already: [...decision.already] };
    },
    async reset(force) {
      const attached = daemon.attachments.all().length;
      if (attached > 0 && !force) throw attachedStill(attached);
      const left = await leave(daemon, force);
      markLeaving(dataDir, left.abandoned === undefined ? "told" : "untold");
      setImmediate(() => end("reset"));
      return { name: daemon.node.config.name, ...left, pid: facts.pid, dataDir };
    },
    async join(cluster, force) {
      const request = { kind: "join-cluster", cluster } as const;
      accepted(await daemon.request(force ? { ...request, alone: true } : request));
      return { cluster };
    },
    stop() {
      setImmediate(() => end("stop"));
      return { pid: facts.pid };
    },
    async cni(body, signal) {
      const done = meter?.cni(verbOf(body));
      const answer = await cni.handle(body, signal);
      done?.(answer.exit);
      return answer;
    },
  };
}

const targetsOf = (daemon: Daemon): string[] =>
  daemon.node
    .facts()
    .mesh.targets()
    .map(({ address }) => address);

const pluginCall = z.object({
  env: z.object({ CNI_COMMAND: z.enum(["ADD", "DEL", "CHECK", "GC", "STATUS"]) }),
});

/** For the metrics; the plugin checks the body. */
const verbOf = (body: unknown) => pluginCall.safeParse(body).data?.env.CNI_COMMAND ?? "other";

function newestAside(dataDir: string): { readonly setAside?: AsideFile } {
  const [setAside] = asideFiles(dataDir);
  return setAside === undefined ? {} : { setAside };
}

/** With force a host goes also when nobody takes its ranges. */
async function leave(daemon: Daemon, force: boolean): Promise<Omit<Departure, "name" | "pid" | "dataDir">> {
  try {
    const { left } = accepted(await daemon.request({ kind: "leave" }));
    if (left === undefined) throw new Error("left without a word");
    return { ...left, given: [...left.given] };
  } catch (error) {
    if (!force || !(error instanceof WeaveError)) throw error;
    return { given: [], voter: "still-counted", abandoned: error.message };
  }
}

function checkConfirmed(peers: readonly string[], confirm: readonly string[]): void {
  const text = (names: readonly string[]): string => [...new Set(names)].sort().join(" ");
  if (text(peers) === text(confirm)) return;
  const typed = confirm.length === 0 ? "nothing was confirmed" : `${text(confirm)} was confirmed`;
  throw new WeaveError(
    "bad-request",
    `to be removed by force: ${text(peers)}; ${typed}. Nothing was changed`,
    {
      hint: "type the same names once more",
    },
  );
}

function attachedStill(count: number): WeaveError {
  const containers = count === 1 ? "1 container of this host is" : `${count} containers of this host are`;
  return new WeaveError("in-use", `${containers} attached, and would lose the network. Nothing was changed`, {
    hint: "delete them first; or cut them off: weave reset --force",
    fields: { attached: count },
  });
}
