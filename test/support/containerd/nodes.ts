// Two Kubernetes nodes: machines with weave launched, each with a containerd on which a pod has run once.
import { afterEach, beforeAll } from "vitest";
import type { Lab } from "../lab.ts";
import type { Containerd, Release } from "./containerd.ts";
import type { Machine } from "./machine.ts";
import { useMachines } from "./machine-lab.ts";
import { Pod } from "./pod.ts";

export interface Nodes {
  readonly lab: Lab;
  /** By number, from 1. */
  node(number: number): Containerd;
}

/** Registers their making and removal. After each test daemons run and pods are ended: one failure is not many. */
export function useNodes(release: Release): Nodes {
  const { lab, machines, startContainerd } = useMachines(2);
  const containerds: Containerd[] = [];
  beforeAll(async () => {
    await lab.launchAll();
    for (const machine of machines) {
      const containerd = await startContainerd(machine, release);
      containerds.push(containerd);
      // The first pod exposes the bridge, and that stays.
      await (await Pod.run(containerd)).end();
    }
  });
  afterEach(async () => {
    for (const containerd of containerds) {
      if (!(await isUp(containerd.machine))) await containerd.machine.launch();
      await endAll(containerd);
    }
  });
  return {
    lab,
    node(number) {
      const containerd = containerds[number - 1];
      if (containerd === undefined) throw new Error(`there is no node ${number}`);
      return containerd;
    },
  };
}

function isUp(machine: Machine): Promise<boolean> {
  return machine.status().then(
    () => true,
    () => false,
  );
}

/** End all pods, and what a failed RunPodSandbox may have left, as kubelet does. */
export async function endAll({ cri }: Containerd, except: readonly Pod[] = []): Promise<void> {
  const { items } = await cri.call("ListPodSandbox");
  for (const { id } of items) {
    if (except.some((pod) => pod.id === id)) continue;
    await cri.call("StopPodSandbox", { pod_sandbox_id: id });
    await cri.call("RemovePodSandbox", { pod_sandbox_id: id });
  }
}
