// `ctr run --cni`, containerd's own command: no loopback, no CNI_ARGS, a namespace named by process, DEL without one.
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import { type Containerd, INSTALLED } from "../support/containerd/containerd.ts";
import { expectNothingLeft, leftoversOf } from "../support/containerd/leftovers.ts";
import { useMachines } from "../support/containerd/machine-lab.ts";
import { BOX_IMAGE, WAIT } from "../support/images.ts";

describe("ctr run --cni", () => {
  const { lab, machines, startContainerd } = useMachines(2);
  const containerds: Containerd[] = [];
  const node = (number: number): Containerd => {
    const containerd = containerds[number - 1];
    if (containerd === undefined) throw new Error(`there is no node ${number}`);
    return containerd;
  };

  beforeAll(async () => {
    await lab.launchAll();
    for (const machine of machines) {
      const containerd = await startContainerd(machine, INSTALLED);
      containerds.push(containerd);
      // The first container exposes the bridge, and that stays.
      await runToEnd(containerd, "first", ["true"]);
    }
  });

  it("runs a command with an address of the cluster, and leaves nothing", async () => {
    const { machine } = node(1);
    const before = await leftoversOf(machine);
    const address = await runToEnd(node(1), "shows", ["ip", "-4", "address", "show", "dev", "eth0"]);
    expect(address).toMatch(/inet 10\.32\.\d+\.\d+\/12 /);
    await expectNothingLeft(machine, before);
  });

  it("works as well with a list", async () => {
    const { machine } = node(1);
    const before = await leftoversOf(machine);
    await machine.setup("--format", "conflist");
    const route = await runToEnd(node(1), "listed", ["ip", "route", "show", "default"]);
    expect(route).toMatch(/^default via 10\.32\.\d+\.\d+ dev eth0/);
    await expectNothingLeft(machine, before);
    await machine.setup("--format", "conf");
  });

  it("connects containers of two machines", async () => {
    const before = await Promise.all([node(1), node(2)].map(({ machine }) => leftoversOf(machine)));
    await start(node(1), "one");
    await start(node(2), "other");
    const [one, other] = [await addressOf(node(1), "one"), await addressOf(node(2), "other")];
    await eventually("they reach each other", () => pings(node(1), "one", other));
    expect(await pings(node(2), "other", one)).toBe(true);

    // ctr sends no DEL for what runs detached (containerd#6604): the daemon finds the namespaces gone when it looks.
    for (const [containerd, id] of [
      [node(1), "one"],
      [node(2), "other"],
    ] as const) {
      await end(containerd, id);
      await containerd.machine.weaveOk("stop");
      await containerd.machine.launch();
    }
    await lab.untilAllOk();
    for (const [index, { machine }] of [node(1), node(2)].entries()) {
      const was = before[index];
      // libcni on the machine still waits for a DEL that nobody sends.
      const { cachedResults } = await leftoversOf(machine);
      if (was !== undefined) await expectNothingLeft(machine, { ...was, cachedResults });
    }
  });
});

/** stdout of a command in a container of its own, which is gone afterwards. */
function runToEnd(containerd: Containerd, id: string, command: readonly string[]): Promise<string> {
  return containerd.ctrOk("run", "--rm", "--cni", ...containerd.runOptions(id), BOX_IMAGE, id, ...command);
}

async function start(containerd: Containerd, id: string): Promise<void> {
  await containerd.ctrOk("run", "--detach", "--cni", ...containerd.runOptions(id), BOX_IMAGE, id, ...WAIT);
}

async function end(containerd: Containerd, id: string): Promise<void> {
  await containerd.ctrOk("task", "rm", "--force", id);
  await containerd.ctrOk("container", "rm", id);
}

/** The command must succeed. */
function inside(containerd: Containerd, id: string, command: readonly string[]): Promise<string> {
  return containerd.ctrOk("task", "exec", "--exec-id", `x${serial++}`, id, ...command);
}
let serial = 0;

async function addressOf(containerd: Containerd, id: string): Promise<string> {
  const shown = await inside(containerd, id, ["ip", "-4", "address", "show", "dev", "eth0"]);
  return /inet ([\d.]+)\//.exec(shown)?.[1] ?? "";
}

function pings(containerd: Containerd, id: string, address: string): Promise<boolean> {
  return inside(containerd, id, ["ping", "-c", "1", "-W", "1", address]).then(
    () => true,
    () => false,
  );
}
