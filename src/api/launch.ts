// What weaver tells the `weave launch` that started it, over Node's IPC channel, exactly once.
import { z } from "zod";

/** How its start ended. */
export const launchReport = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("ready"),
    name: z.string(),
    nickname: z.string(),
    socket: z.string(),
    pid: z.int(),
    warnings: z.array(z.string()),
  }),
  z.object({ kind: z.literal("failed"), code: z.string(), message: z.string(), hint: z.string().optional() }),
]);
/** What a weaver that was started to remove what a host has left of weave tells, once. */
export const eraseReport = z.discriminatedUnion("kind", [
  /** In words for people: "link del weave". */
  z.object({ kind: z.literal("erased"), removed: z.array(z.string()) }),
  z.object({ kind: z.literal("failed"), code: z.string(), message: z.string(), hint: z.string().optional() }),
]);
export type EraseReport = z.infer<typeof eraseReport>;

export type LaunchReport = z.infer<typeof launchReport>;
