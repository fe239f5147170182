// The sequence that makes a weaver: what is opened, in which order, and how it is closed again.
import { randomBytes, randomInt } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCniPlugin } from "../../cni-plugin/handle.ts";
import { writeAside } from "../../src/adapters/aside-file.ts";
import { createBootClock } from "../../src/adapters/boot-clock.ts";
import { createClock } from "../../src/adapters/clock.ts";
import { serveControl } from "../../src/adapters/http/server.ts";
import { createMetrics } from "../../src/adapters/metrics/metrics.ts";
import { checkMarker, leavingOf, writeMarker } from "../../src/adapters/peer-marker.ts";
import { createPlugins } from "../../src/adapters/plugins.ts";
import { followJournal } from "../../src/adapters/release-journal.ts";
import { openLevelStore } from "../../src/adapters/store-level.ts";
import { deriveMeshKey } from "../../src/adapters/transport-ws/mesh-key.ts";
import { createWsTransport } from "../../src/adapters/transport-ws.ts";
import { type Anew, anewOf } from "../../src/core/aside.ts";
import { seededRandom } from "../../src/core/random.ts";
import { readState, type StoredState } from "../../src/core/records.ts";
import { BRIDGE, containerMtu, resolveConfig } from "../../src/daemon/config.ts";
import { Daemon, type DaemonPorts } from "../../src/daemon/daemon.ts";
import { JOURNAL_DIR, type LaunchOptions, PID_FILE, SOCKET_FILE } from "../../src/daemon/options.ts";
import { PathProber } from "../../src/daemon/paths/prober.ts";
import { type AsidePorts, setAside } from "../../src/daemon/rejoin.ts";
import { watchUnderlay } from "../../src/daemon/underlay.ts";
import { createEchoes } from "../../src/kernel/echo/echoes.ts";
import { createWorkerKernel } from "../../src/kernel/remote.ts";
import type { Logger } from "../../src/ports/logger.ts";
import type { Store } from "../../src/ports/store.ts";
import { relaunchWords } from "../launch-options.ts";
import { ensureRunDir } from "../run-dir.ts";
import { accessOf } from "./access.ts";
import { type Directories, erase } from "./erase.ts";
import { createHandlers, type End } from "./handlers.ts";
import { openListeners } from "./listeners.ts";
import { startRounds } from "./rounds.ts";

/** A running daemon. */
export interface Weaver {
  readonly ready: {
    readonly name: string;
    readonly nickname: string;
    readonly socket: string;
    readonly warnings: string[];
  };
  /** The listener is called when a user asks for the end over the API. */
  onEndRequest(listener: (how: End) => void): void;
  /** "reset": nothing of weave is left on the host when it resolves. */
  stop(how: End): Promise<void>;
}

/** Start everything. On failure what was opened is closed again and nothing is left behind. */
export async function runWeaver(
  { password, ...options }: LaunchOptions & { readonly password: string | undefined },
  version: string,
  log: Logger,
  onFatal: (error: unknown) => void,
): Promise<Weaver> {
  const closers: (() => Promise<void> | void)[] = [];
  const opened = <T>(thing: T, close: () => Promise<void> | void): T => {
    closers.push(close);
    return thing;
  };
  // Takes most of a second in a thread of its own, while the rest starts.
  const meshKey = password === undefined ? Promise.resolve(undefined) : deriveMeshKey(password);
  meshKey.catch(() => {}); // told where it is waited for
  try {
    ensureRunDir(options.runDir);
    const unfinished = leavingOf(options.dataDir) !== undefined;
    if (unfinished) await eraseHost(options);
    // LevelDB's lock makes this the only weaver of the data directory; nothing is touched before it is held.
    const store = await openLevelStore(join(options.dataDir, "db"));
    opened(store, () => store.close());
    let records = await store.load();
    checkMarker(options.dataDir, readState(records).name);
    const kernel = createWorkerKernel(libFile("kernel-worker.js"), {
      runDir: options.runDir,
      onDeath: onFatal,
    });
    opened(kernel, () => kernel.close());
    const resolve = async (stored: StoredState, anew: Anew) =>
      resolveConfig(options, {
        ...{ stored, anew, facts: await kernel.inspect(), hostname: hostname(), software: version },
        again: relaunchWords(options, password !== undefined),
        ...{ uid: randomBytes(8).toString("hex"), ...draw() },
      });
    const asidePorts = asidePortsOf(options.dataDir, store, log);
    let resolved = await resolve(readState(records), anewOf(records));
    const warnings = unfinished
      ? ["a reset that was cut short was finished first; this host is a new peer"]
      : [];
    if (resolved.otherRange !== undefined) {
      const { file, records: left } = await setAside({ reason: "range" }, asidePorts);
      warnings.push(
        `the data directory held the ring of ${resolved.otherRange}; what it says is in ${file} now`,
      );
      records = left;
      resolved = await resolve(readState(records), anewOf(records));
    }
    const { config } = resolved;
    warnings.push(...resolved.warnings);
    for (const warning of warnings) log.warn(warning);
    const host = options.host === undefined ? {} : { host: options.host };
    const metrics = createMetrics(() => import(libFile("metrics.js")));
    const ports: DaemonPorts = {
      ...asidePorts,
      meter: metrics.meter,
      openTransport: async () => createWsTransport({ ...host, port: options.port, key: await meshKey, log }),
      kernel,
      clock: createClock(),
      random: seededRandom(randomInt(2 ** 32)),
      reconfigure: async (stored, anew) => {
        // The targets of the command line were replaced by `weave connect` since, perhaps.
        const { targets: _, ...renewed } = (await resolve(stored, anew)).config;
        return renewed;
      },
      onName: (name) => writeMarker(options.dataDir, name),
      onFatal,
    };
    const daemon = await Daemon.start(config, readState(records), ports);
    closers.length = 0; // the daemon closes them all from here on
    opened(daemon, () => daemon.stop());
    for (const { object, message } of daemon.follower.failures()) warnings.push(`${object}: ${message}`);
    const { attachments } = daemon;
    const cniDeps = { attachments, kernel, plugins: createPlugins(), boot: createBootClock(), log };
    const cni = createCniPlugin(
      cniDeps,
      () => rounds.added(),
      () => daemon.node.config.defaultSubnets,
    );
    const journal = await followJournal(
      join(options.runDir, JOURNAL_DIR),
      async ({ network, containerId, ifname, bootId, bootMs }) => {
        const key = { network, containerId, ifname };
        log.info("journalled release applied", key);
        await cni.replay(key, { bootId, bootMs });
      },
      log,
    );
    opened(journal, () => journal.close());
    await cni.reconcile();
    const rounds = startRounds(() => cni.reconcile());
    opened(rounds, () => rounds.stop());
    const addresses = watchUnderlay({
      bridge: BRIDGE,
      inspect: () => kernel.inspect(),
      linkMtu: (name) => kernel.linkMtu(name),
      current: () => daemon.node.facts().underlay,
      changed: (list, underlay, mtu) =>
        daemon.addressesAre(list, underlay, mtu && containerMtu(options.mtu, mtu, underlay)),
      log,
    });
    opened(addresses, () => addresses.close());
    const prober = new PathProber({
      paths: () => daemon.node.paths(),
      open: (listener) => createEchoes(BRIDGE, listener),
      clock: ports.clock,
      random: ports.random,
    });
    opened(prober, () => prober.stop());
    let requestEnd = (_how: End): void => {};
    const socket = join(options.runDir, SOCKET_FILE);
    const listen = { host: options.host ?? "*", port: options.port };
    const access = () =>
      accessOf(
        { host: listen.host, password: password !== undefined },
        networkInterfaces(),
        ownDevices(daemon),
      );
    const facts = {
      ...{ version, pid: process.pid, listen, access, dataDir: options.dataDir },
      paths: () => prober.states(),
    };
    const handlers = createHandlers(daemon, ports, cni, facts, (how) => requestEnd(how));
    const control = await serveControl(socket, handlers, log);
    opened(control, () => control.close());
    const listeners = await openListeners(options, handlers, metrics, log);
    opened(listeners, () => listeners.close());
    for (const warning of listeners.warnings) log.warn(warning);
    warnings.push(...listeners.warnings);
    const pidFile = join(options.runDir, PID_FILE);
    writeFileSync(pidFile, `${process.pid}\n`);
    opened(pidFile, () => rmSync(pidFile, { force: true }));
    log.info("weaver is running", { name: config.name, nickname: config.nickname, socket, version });
    return {
      ready: { name: config.name, nickname: config.nickname, socket, warnings },
      onEndRequest(listener) {
        requestEnd = listener;
      },
      async stop(how) {
        await closeAll(closers);
        if (how === "reset") log.info("reset", { removed: await eraseHost(options) });
        log.info("weaver has stopped");
      },
    };
  } catch (error) {
    await closeAll(closers).catch((also: unknown) =>
      log.warn("closing after a failed start failed", { error: also }),
    );
    throw error;
  }
}

/** Remove all that weave keeps and made on this host, while no daemon runs. Answers what was there. */
export async function eraseHost({ dataDir, runDir }: Directories): Promise<readonly string[]> {
  const kernel = createWorkerKernel(libFile("kernel-worker.js"), { runDir });
  try {
    return await erase({ dataDir, runDir }, kernel);
  } finally {
    await kernel.close();
  }
}

function ownDevices({ node }: Daemon): string[] {
  const { bridge, vxlan } = node.datapath();
  return [bridge.name, vxlan.name];
}

async function closeAll(closers: (() => Promise<void> | void)[]): Promise<void> {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
}

function asidePortsOf(dataDir: string, store: Store, log: Logger): AsidePorts {
  return {
    store,
    keep: (records, reason) => writeAside(dataDir, records, { reason, at: Date.now() }),
    draw,
    log,
  };
}

/** What is drawn for a new peer. */
function draw() {
  return {
    freshName: freshName(),
    incarnation: randomBytes(8).toString("hex"),
    digits: randomBytes(2).toString("hex"),
  };
}

/** Weave Net's form: a MAC, locally administered and unicast. */
function freshName(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return bytes.toString("hex").match(/../g)?.join(":") ?? "";
}

/** dist/bin/weaver -> dist/lib/NAME: what is bundled on its own (scripts/build.mjs). */
function libFile(name: string): string {
  return join(dirname(fileURLToPath(import.meta.url)), "../lib", name);
}
