// What goes on after an uninstall: the daemon, and containers that are attached. Setup ends neither.
import { readdirSync } from "node:fs";
import type { Client } from "../../../src/api/client.ts";
import { WeaveError } from "../../../src/core/errors.ts";
import { count } from "../status/names.ts";
import type { Step } from "./step.ts";

/** Asks the daemon; without one, the names of interfaces tell how many containers of this host are attached. */
export async function stillHere(client: Client): Promise<Step[]> {
  const daemon = await ask(client);
  const attached = daemon?.attached ?? hostEnds();
  const steps: Step[] = [];
  if (attached > 0) {
    steps.push({
      action: "note",
      what: `${count(attached, "container")} of this host still attached`,
      detail:
        "they keep their network; but runtimes release containers through the plugin, and containerd stops no pod without a configuration. To delete them in good order: weave setup, delete them, weave setup --uninstall",
    });
  }
  if (daemon !== undefined) {
    steps.push({
      action: "note",
      what: `weaver runs on as process ${daemon.pid}`,
      detail: "to end it: weave stop",
    });
  }
  return steps;
}

async function ask(client: Client): Promise<{ pid: number; attached: number } | undefined> {
  try {
    const { pid, endpoints, exposed } = await client.status();
    const bridge = new Set(exposed.map(({ cidr }) => cidr.split("/")[0]));
    return { pid, attached: endpoints.filter(({ local, address }) => local && !bridge.has(address)).length };
  } catch (error) {
    if (error instanceof WeaveError) return undefined;
    throw error;
  }
}

/** cni-plugin/host-ifname.ts makes these names. */
function hostEnds(): number {
  try {
    return readdirSync("/sys/class/net").filter((name) => /^vw[0-9a-f]{12}$/.test(name)).length;
  } catch {
    return 0;
  }
}
