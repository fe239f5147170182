// Who holds the ports of weave: TCP 6783 (control), UDP 6784 (VXLAN), TCP 6782 of 127.0.0.1 (status).

import { join } from "node:path";
import { VXLAN } from "../../../../src/daemon/config.ts";
import { DEFAULT_STATUS_ADDR, PID_FILE, parseListenAddress } from "../../../../src/daemon/options.ts";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { quote } from "../../cni/finding.ts";
import { defineCheck, statusOf, type Verdict } from "../check.ts";
import { textOf } from "../facts/files.ts";
import { describeProcess, holdersOf } from "../facts/processes.ts";
import { type BoundSocket, boundSockets } from "../facts/sockets.ts";
import type { Finding } from "../finding.ts";

/** The same on every host. */
const VXLAN_PORT = 6784;
const STATUS_PORT = parseListenAddress(DEFAULT_STATUS_ADDR)?.port ?? 0;

/** Who has a socket. */
export interface Holder {
  readonly pid: number;
  readonly name: string;
  /** The command that ends it. */
  readonly end: string;
}

export interface PortFacts {
  /** Of the control port. */
  readonly port: number;
  readonly sockets: readonly (BoundSocket & { readonly holder?: Holder })[];
  /** Links of kind vxlan that are up: the others have no socket. */
  readonly vxlans: readonly { readonly name: string; readonly port: number }[];
  /** Process id of the daemon, if it runs, or should. */
  readonly daemon: number | undefined;
}

export const ports = defineCheck<PortFacts>(
  "ports",
  async (around) => {
    const { root } = around;
    const status = await statusOf(around);
    const port = status?.listen.port ?? around.port;
    const bound = boundSockets(root, new Set([port, VXLAN_PORT, STATUS_PORT]));
    const holders = holdersOf(root, new Set(bound.map(({ inode }) => inode)));
    const isRoot = process.getuid?.() === 0;
    if (!isRoot && bound.some(({ inode }) => !holders.has(inode))) {
      throw new Error("somebody listens on ports of weave, and who it is only root may see");
    }
    return {
      port,
      sockets: bound.map((socket) => {
        const pid = holders.get(socket.inode);
        return pid === undefined ? socket : { ...socket, holder: { pid, ...describeProcess(root, pid) } };
      }),
      vxlans: await vxlans(around.kernel("links")),
      daemon: status?.pid ?? pidIn(textOf(join(around.runDir, PID_FILE))),
    };
  },
  judgePorts,
);

/** One that hangs has its ports rightly; that it hangs is told elsewhere. */
function pidIn(text: string | undefined): number | undefined {
  return /^\d+\n$/.test(text ?? "") ? Number(text) : undefined;
}

async function vxlans(links: Promise<Part<"links">>): Promise<PortFacts["vxlans"]> {
  return (await links).flatMap(({ name, kind, port, up }) =>
    kind === "vxlan" && up && port !== undefined ? [{ name, port }] : [],
  );
}

export function judgePorts({ port, sockets, vxlans: devices, daemon }: PortFacts): Verdict {
  const findings: Finding[] = [];
  const told = new Set<string>();
  const tell = (what: string, use: string, holder: Holder | undefined): void => {
    const key = `${what} ${holder?.pid}`;
    if (told.has(key)) return;
    told.add(key);
    findings.push(taken(what, use, holder));
  };
  for (const { protocol, port: number, holder, loopback, anyAddress } of sockets) {
    if (holder !== undefined && holder.pid === daemon) continue;
    if (protocol === "tcp" && number === port) tell(`TCP ${port}`, "hosts of weave connect to it", holder);
    else if (protocol === "tcp" && number === STATUS_PORT && (loopback || anyAddress))
      tell(`TCP ${STATUS_PORT}`, "weaver serves status and metrics on it", holder);
    // The socket of a VXLAN device is the kernel's: it has no holder, and the device is told below.
    else if (protocol === "udp" && number === VXLAN_PORT && !(holder === undefined && devices.some(isOnPort)))
      tell(`UDP ${VXLAN_PORT}`, "packets between hosts come in on it", holder);
  }
  for (const { name } of devices.filter((device) => isOnPort(device) && device.name !== VXLAN)) {
    findings.push({
      code: "port-taken",
      object: `UDP ${VXLAN_PORT}`,
      message: `the VXLAN device ${name} holds UDP ${VXLAN_PORT}; packets between hosts come in on it`,
      command: `ip link delete ${quote(name)}`,
    });
  }
  const held = sockets.some(({ holder }) => holder !== undefined) ? "weaver's" : "free";
  const names = `TCP ${port}, UDP ${VXLAN_PORT}, TCP ${STATUS_PORT}`;
  return { findings, saw: findings.length === 0 ? `${names}: ${held}` : names };
}

const isOnPort = ({ port }: { readonly port: number }): boolean => port === VXLAN_PORT;

function taken(what: string, use: string, holder: Holder | undefined): Finding {
  const [protocol = "", number = ""] = what.split(" ");
  return {
    code: "port-taken",
    object: what,
    message: `${what} is held by ${holder === undefined ? "somebody this process cannot see" : `${holder.name} (process ${holder.pid})`}; ${use}`,
    command: holder?.end ?? `ss -lnp${protocol === "TCP" ? "t" : "u"} sport = :${number}`,
  };
}
