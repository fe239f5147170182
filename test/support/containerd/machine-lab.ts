// The lab of the runtimes' tests: hosts that are machines, each of which may run a containerd.
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { buildImages, type Images } from "../images.ts";
import { type Lab, useLab } from "../lab.ts";
import { Containerd, type Release } from "./containerd.ts";
import { Machine } from "./machine.ts";

export class MachineLab {
  readonly lab: Lab;
  /** In the order of their making. */
  readonly machines: Machine[] = [];
  readonly #containerds: Containerd[] = [];
  #images: Images | undefined;

  constructor() {
    this.lab = useLab(0, (place) => {
      const machine = new Machine(place);
      this.machines.push(machine);
      return machine;
    });
  }

  /** A containerd on a machine, started. */
  readonly startContainerd = async (machine: Machine, release: Release): Promise<Containerd> => {
    this.#images ??= buildImages(join(this.lab.dir, "images"));
    const containerd = new Containerd(machine, release);
    this.#containerds.push(containerd);
    await containerd.start(this.#images);
    return containerd;
  };

  remove(): void {
    for (const { cri } of this.#containerds) cri.close();
    for (const machine of this.machines) machine.remove();
  }
}

/** Registers the making and removal of a lab with `count` machines around the tests of a file. */
export function useMachines(count: number): MachineLab {
  const machines = new MachineLab();
  const remove = (): void => machines.remove();
  process.once("exit", remove);
  beforeAll(async () => {
    for (let number = 1; number <= count; number++) await machines.lab.addHost();
  });
  // Hooks after run in the reverse order: machines end before the lab removes namespaces and files.
  afterAll(() => {
    process.off("exit", remove);
    remove();
  });
  return machines;
}
