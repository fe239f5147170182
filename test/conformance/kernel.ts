// What every Kernel must do, told as calls and the facts they leave. Run for the memory kernel, where `render` is its
// own, and for Linux, where it is read back with `ip`, `bridge` and `nft` (test/kernel/conformance.test.ts).
import { afterEach, beforeEach, describe } from "vitest";
import { attachmentsConformance } from "./kernel-attachments.ts";
import { datapathConformance } from "./kernel-datapath.ts";
import { type KernelHarness, subjectOf } from "./kernel-subject.ts";

export type { KernelHarness } from "./kernel-subject.ts";

/** Runs the suite with a fresh host for each test. */
export function kernelConformance(name: string, create: () => Promise<KernelHarness>): void {
  describe(`kernel ${name}`, () => {
    let harness: KernelHarness;
    beforeEach(async () => {
      harness = await create();
    });
    afterEach(async () => {
      await harness?.close();
    });
    const subject = subjectOf(() => harness);
    datapathConformance(subject);
    attachmentsConformance(subject);
  });
}
