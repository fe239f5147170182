// What `weave status cni` found, as `--json` prints it. Names and codes are stable; fields may be added.
import { z } from "zod";
import { FINDING_CODES } from "../../cni/finding.ts";

const finding = z.object({
  code: z.enum(FINDING_CODES),
  /** A path, or the name of a plugin. */
  object: z.string(),
  message: z.string(),
  /** The command to run next. */
  command: z.string(),
});

export const cniReport = z.object({
  /** True exactly when `problems` is empty: kubelet starts containers, and weave is their network. */
  ok: z.boolean(),
  /** The first line of the text in words. */
  verdict: z.string(),
  /** Whether kubelet and CRI-O take a network with weave-net. */
  uses: z.boolean(),
  problems: z.array(finding),
  /** In the same form what is odd and hinders no container. */
  notes: z.array(finding),
  confDir: z.string(),
  /** Every file that runtimes look at, in their order. */
  files: z.array(
    z.object({
      name: z.string(),
      /** The one kubelet uses; before it or after it; or not understood by anybody. */
      state: z.enum(["used", "not used", "unparsable"]),
      network: z.string().optional(),
      versions: z.array(z.string()),
      plugins: z.array(z.string()),
      /** Why it cannot be parsed. */
      reason: z.string().optional(),
    }),
  ),
  /** Where plugins were looked for. */
  binDirs: z.array(z.string()),
  /** loopback, and what the network with weave-net needs. */
  plugins: z.array(
    z.object({
      type: z.string(),
      path: z.string().optional(),
      /** Of the CNI specification, ascending. */
      versions: z.array(z.string()),
      /** "ok", or what is wrong. */
      state: z.string(),
    }),
  ),
  /** weave-net as runtimes start it; absent when it is not there. */
  forwarder: z
    .object({
      path: z.string(),
      /** Absent: it is not one of this weave. */
      version: z.string().optional(),
      socket: z.string(),
      /** Absent: nobody answers on the socket. */
      daemon: z.object({ version: z.string(), pid: z.int() }).optional(),
    })
    .optional(),
});
export type CniReport = z.infer<typeof cniReport>;
