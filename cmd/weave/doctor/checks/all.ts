// All checks, in the order they are told: what the rest depends on first.
import type { Check } from "../check.ts";
import { cni } from "./cni.ts";
import { daemon } from "./daemon.ts";
import { firewalld } from "./firewalld.ts";
import { forwarding } from "./forwarding.ts";
import { kernel } from "./kernel.ts";
import { kubernetes } from "./kubernetes.ts";
import { links } from "./links.ts";
import { managers } from "./managers.ts";
import { mtu } from "./mtu.ts";
import { ports } from "./ports.ts";
import { range } from "./range.ts";
import { sysctls } from "./sysctls.ts";

/** `cni` runs plugins and waits for them without a turn of the loop, so it comes last. */
export const CHECKS: readonly Check[] = [
  ...[daemon, kernel, links, ports, range, mtu, sysctls, forwarding, firewalld, managers, kubernetes],
  cni,
];
