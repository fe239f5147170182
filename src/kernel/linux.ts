// The Kernel port over the real Linux kernel, in the calling thread. The daemon runs it in a worker thread (worker.ts),
// because a netlink call can hold the thread for tens of milliseconds; tests run it directly.
import { closeSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Kernel } from "../ports/kernel.ts";
import { Accepts } from "./accept/accepts.ts";
import { attach } from "./attach.ts";
import { clear } from "./clear.ts";
import { Datapath } from "./datapath/datapath.ts";
import { deadNetns } from "./dead-netns.ts";
import { Detacher } from "./detach.ts";
import { Firewall } from "./firewall.ts";
import { Host } from "./host.ts";
import { hostEnds } from "./host-ends.ts";
import { inspect } from "./inspect.ts";
import { look } from "./look.ts";
import { Monitor } from "./monitor.ts";
import { openNetns, warmThreadPool } from "./netns.ts";
import { DirectSocket } from "./rtnetlink/direct.ts";
import { errnoOf } from "./rtnetlink/errors.ts";
import { getLink } from "./rtnetlink/link.ts";
import { NETLINK_ROUTE, NetlinkSocket } from "./rtnetlink/socket.ts";
import { restoreShaping, shapingFaults } from "./shaping.ts";
import { SharedReading } from "./shared-reading.ts";

/** Plain data: it crosses to the worker thread. */
export interface LinuxKernelOptions {
  /** Act as the host living in this network namespace (path or open descriptor). Default: the thread's own. */
  readonly netns?: string | number;
  /** Directory for the short-lived file nft reads, made when missing. Default: the system's for temporary files. */
  readonly runDir?: string;
}

/** The calling thread must not be inside another namespace. Nothing is touched before the first call. */
export function createLinuxKernel(options: LinuxKernelOptions = {}): Kernel {
  const host = new Host(options.netns);
  // Two sockets: an attach is over before the loop turns, and never waits behind the thousand entries of a large apply.
  let opened:
    | Promise<{ links: DirectSocket; datapath: Datapath; detacher: Detacher; table: NetlinkSocket }>
    | undefined;
  const firewall = new Firewall(host, options.runDir ?? tmpdir());
  const accepts = new Accepts(host);
  const open = async () => {
    await warmThreadPool();
    const [links, table] = host.run(
      () => [new DirectSocket(NETLINK_ROUTE), new NetlinkSocket(NETLINK_ROUTE)] as const,
    );
    return {
      links,
      table,
      datapath: new Datapath(host, table, firewall, accepts),
      detacher: new Detacher(host, links),
    };
  };
  const parts = () => {
    opened ??= open();
    return opened;
  };

  let monitor: Monitor | undefined;
  const faults = new SharedReading(async () => (await parts()).datapath.faults());
  const ends = new SharedReading(async () => hostEnds((await parts()).links));

  return {
    async inspect() {
      return inspect(host, (await parts()).links);
    },
    async linkMtu(name) {
      return (await getLink((await parts()).links, name))?.mtu;
    },
    async apply(state) {
      return (await parts()).datapath.apply(state);
    },
    async observe() {
      (await parts()).datapath.observe();
    },
    async watch(listener) {
      const { datapath } = await parts();
      monitor ??= new Monitor(host, { datapath, firewall, accepts }, listener);
    },
    faults: () => faults.get(),
    async openNetns(source) {
      await parts();
      return openNetns(source, host.fd);
    },
    async closeNetns(netns) {
      closeSync(netns.fd);
    },
    async attach(spec) {
      const { links, datapath } = await parts();
      try {
        return await attach(host, links, spec, (port, mac) => datapath.bound(port, mac));
      } catch (error) {
        // The bridge may be gone: let the next apply look, and make it again.
        if (errnoOf(error) !== undefined) datapath.observe();
        throw error;
      }
    },
    async detach(hostIfname) {
      return (await parts()).detacher.detach(hostIfname);
    },
    async shapingFaults(hostIfname, bandwidth) {
      return shapingFaults((await parts()).links, hostIfname, bandwidth);
    },
    async shape(hostIfname, bandwidth) {
      return restoreShaping(host, (await parts()).links, hostIfname, bandwidth);
    },
    async look(netns, ifname) {
      return look(host, (await parts()).links, netns, ifname);
    },
    hostEnds: () => ends.get(),
    async deadNetns(ids) {
      await parts();
      return deadNetns(ids);
    },
    async clear(devices) {
      const { links, datapath } = await parts();
      datapath.observe();
      return clear(links, { firewall, accepts }, devices);
    },
    async close() {
      const { links, table, detacher } = await parts();
      await monitor?.close();
      await detacher.close();
      await Promise.all([links.close(), table.close(), firewall.close(), accepts.close()]);
      host.close();
    },
  };
}
