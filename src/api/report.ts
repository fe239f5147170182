// What GET /v1/report answers: the status, and what only somebody looking for a fault wants to know.
import { z } from "zod";
import { status } from "./status.ts";

/** The answer to `weave report`. Names are stable; fields may be added. */
export const report = status.extend({
  /** What has addresses here: the bridge ("weave:expose") and containers, one entry for each interface. */
  holders: z.array(
    z.object({
      ident: z.string(),
      network: z.string().optional(),
      ifname: z.string().optional(),
      mac: z.string().optional(),
      addresses: z.array(z.string()),
    }),
  ),
  /** What the kernel does not hold of what it should, in words. */
  faults: z.array(z.string()),
  process: z.object({
    /** Version of Node.js. */
    node: z.string(),
    uptimeSeconds: z.number(),
    residentBytes: z.number(),
    heapBytes: z.number(),
  }),
});
export type Report = z.infer<typeof report>;
