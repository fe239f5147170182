// The lab of an end-to-end test: hosts on an underlay, an outsider, containers. Whatever is made through it, and
// whatever processes run inside, is gone at the end, also when the test fails.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { Status } from "../../src/api/status.ts";
import { TestNamespace, whyNot } from "../kernel/support/namespaces.ts";
import { Container } from "./container.ts";
import { Host, type HostPlace } from "./host.ts";
import { Underlay } from "./underlay.ts";

/** For hosts that are more than a network namespace. */
type MakeHost = (place: HostPlace) => Host;

/** Hosts on one underlay; closing it removes all that was made. */
export class Lab {
  readonly dir = mkdtempSync(join(tmpdir(), "weave-e2e-"));
  readonly underlay = new Underlay();
  readonly hosts: Host[] = [];
  readonly #namespaces: TestNamespace[] = [this.underlay.namespace];
  readonly #makeHost: MakeHost;

  constructor(makeHost: MakeHost = (place) => new Host(place)) {
    this.#makeHost = makeHost;
  }

  /** One more host, set up and not launched. */
  async addHost(options: { readonly nickname?: string } = {}): Promise<Host> {
    const nickname = options.nickname ?? `h${this.hosts.length + 1}`;
    const namespace = this.#keep(new TestNamespace(nickname));
    const address = await this.underlay.join(namespace, { gateway: true });
    const host = this.#makeHost({ nickname, namespace, address, dir: join(this.dir, nickname) });
    this.hosts.push(host);
    await host.setup();
    return host;
  }

  /** A machine on the underlay that knows nothing of the overlay, not even a default gateway. */
  async addOutsider(): Promise<{ readonly namespace: TestNamespace; readonly address: string }> {
    const namespace = this.#keep(new TestNamespace("outside"));
    return { namespace, address: await this.underlay.join(namespace, { gateway: false }) };
  }

  /** Hosts by number, from 1, as people count them. */
  host(number: number): Host {
    const host = this.hosts[number - 1];
    if (host === undefined) throw new Error(`there is no host ${number}`);
    return host;
  }

  /** A container's namespace, not yet attached. */
  container(host: Host, label = "c"): Container {
    const container = new Container(host, `${host.nickname}-${label}`);
    this.#keep(container.namespace);
    return container;
  }

  /** A container attached with ADD. */
  async attached(host: Host, label = "c"): Promise<Container> {
    const container = this.container(host, label);
    await container.add();
    return container;
  }

  /** Host 1 alone, the others joining it. Resolves when all see all. */
  async launchAll(): Promise<void> {
    const [first, ...others] = this.hosts;
    if (first === undefined) return;
    await first.launch();
    await Promise.all(others.map((host) => host.launch(first.address)));
    await this.untilAllOk();
  }

  /** Every host has an OK status and every other host is reachable. */
  async untilAllOk(timeoutMs?: number): Promise<void> {
    const all = (count: number): boolean => count === this.hosts.length;
    await Promise.all(
      this.hosts.map((host) =>
        host.until(
          "OK and all peers reachable",
          (status) => status.ok && all(status.peers.filter((peer) => peer.reachable).length),
          timeoutMs,
        ),
      ),
    );
  }

  /** As many voters as there may be (docs/ipam.md), all reachable: what one host may then lack, it lacks for a reason. */
  async untilVotersSettled(members = this.hosts.length): Promise<void> {
    const wanted = members >= 5 ? 5 : Math.min(members, 3);
    const settled = ({ configuration }: Status): boolean =>
      configuration?.voters.length === wanted && configuration.voters.every(({ reachable }) => reachable);
    const running = await Promise.all(
      this.hosts.map((host) =>
        host.status().then(
          () => [host],
          () => [],
        ),
      ),
    );
    await Promise.all(running.flat().map((host) => host.until(`${wanted} voters`, settled)));
  }

  /** Every daemon knows where each of these containers is. */
  async untilKnown(containers: readonly Container[], timeoutMs?: number): Promise<void> {
    const expected = containers.map(({ address, host }) => `${address} on ${host.nickname}`);
    const known = ({ endpoints }: Status): boolean => {
      const places = new Set(endpoints.map(({ address, nickname }) => `${address} on ${nickname}`));
      return expected.every((place) => places.has(place));
    };
    await Promise.all(this.hosts.map((host) => host.until(`knows ${expected.join()}`, known, timeoutMs)));
  }

  remove(): void {
    for (const { name } of this.#namespaces) killInside(name);
    for (const namespace of this.#namespaces) namespace.remove();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #keep(namespace: TestNamespace): TestNamespace {
    this.#namespaces.push(namespace);
    return namespace;
  }
}

/** Processes in a namespace that this lab made are this lab's. */
export function killInside(name: string): void {
  let pids = "";
  try {
    pids = execFileSync("ip", ["netns", "pids", name], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return; // the test removed it
  }
  for (const pid of pids.split("\n").filter(Boolean)) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // Ended meanwhile.
    }
  }
}

/** Ctrl-C reaches the process of the tests too, and would end it without the handlers of its exit. */
function exitOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      process.emit("exit", 1);
      process.kill(process.pid, signal);
    });
  }
}
exitOnSignals();

/** Registers the making and removal of a lab with `count` hosts around the tests of a file. */
export function useLab(count: number, makeHost?: MakeHost): Lab {
  const lacking = whyNot();
  if (lacking !== undefined) throw new Error(`these tests cannot run here: ${lacking}`);
  const lab = new Lab(makeHost);
  const remove = (): void => lab.remove();
  process.once("exit", remove);
  beforeAll(async () => {
    await lab.underlay.start();
    for (let number = 1; number <= count; number++) await lab.addHost();
  });
  afterAll(() => {
    process.off("exit", remove);
    remove();
  });
  return lab;
}
