// When something happened on this host, in a form that a file written by another process can be compared with.
import { readFileSync } from "node:fs";
import type { BootMoment } from "../core/boot-moment.ts";

/** /proc/uptime counts hundredths of a second: rounded up, so that a release written before is never taken for later. */
const RESOLUTION_MS = 10;

/** CLOCK_BOOTTIME (/proc/uptime, proc(5)) and the id the kernel draws at each boot. */
export function createBootClock(): { moment(): BootMoment } {
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return {
    moment: () => ({
      bootId,
      bootMs: Number.parseFloat(readFileSync("/proc/uptime", "utf8")) * 1000 + RESOLUTION_MS,
    }),
  };
}
