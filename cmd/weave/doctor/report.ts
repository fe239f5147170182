// What `weave doctor` found, as `--json` prints it. Names and codes are stable; fields may be added.
import { z } from "zod";
import { finding } from "./finding.ts";

export const doctorReport = z.object({
  /** True exactly when `findings` is empty. */
  ok: z.boolean(),
  /** What is wrong, in the order of `checks`. */
  findings: z.array(finding.extend({ check: z.string() })),
  /** In the same form what is worth knowing and hinders nothing now. */
  notes: z.array(finding.extend({ check: z.string() })),
  /** All that was looked at. */
  checks: z.array(
    z.object({
      name: z.string(),
      /** "unknown": it could not look; there is a finding check-failed. */
      state: z.enum(["ok", "wrong", "unknown"]),
      /** What it saw, in a few words. */
      saw: z.string(),
    }),
  ),
});
export type DoctorReport = z.infer<typeof doctorReport>;
