// The sysctls of a living datapath, and which of them others have changed. Nobody is told of a sysctl, so they are read:
// some ten small files. Those of the containers' ports show by an IPv6 address that appears (drift.ts), or with the next
// reading of the kernel.
import type { DatapathState } from "../../core/datapath/state.ts";
import {
  BRIDGE_SYSCTLS,
  FORWARDING,
  LOOPBACK_PORTS,
  PORT_SYSCTLS,
  peekSysctl,
  type Sysctl,
} from "../sysctl.ts";
import { NAME } from "./objects.ts";

/** Names of settings that are not as the state wants them. In the host's namespace. */
export function driftedSettings(state: DatapathState): readonly string[] {
  const { bridge, vxlan, firewall } = state;
  const families = new Set(bridge.addresses.map((address) => (address.includes(":") ? 6 : 4)));
  const host = [...families].map((family) => FORWARDING[family]);
  const publishes = firewall.portMaps.some(({ address }) => !address.includes(":"));
  const ofBridge = publishes ? [...BRIDGE_SYSCTLS, LOOPBACK_PORTS] : BRIDGE_SYSCTLS;
  const drifted = (settings: readonly Sysctl[], device: string): string[] =>
    settings.flatMap(({ key, value }) => {
      const name = key.replace("DEV", device);
      const held = peekSysctl(name);
      return held === undefined || held === value ? [] : [NAME.sysctl(name)];
    });
  return [...drifted(host, ""), ...drifted(ofBridge, bridge.name), ...drifted(PORT_SYSCTLS, vxlan.name)];
}
