// MACs of our own devices. Explicit ones, because udev replaces random ones (MACAddressPolicy=persistent) and a VXLAN
// device drops every frame whose source is its own MAC, so no two hosts may share it.
import { fnv1a64 } from "../core/hash.ts";

/** MAC of the VXLAN device of the host whose bridge has `bridgeMac`. */
export function vxlanMac(bridgeMac: string): string {
  return derived("c0", `vxlan ${bridgeMac}`);
}

/** MAC of the host end of a veth pair: never seen on the wire, only must not be a container's. */
export function hostEndMac(hostIfname: string): string {
  return derived("d0", `veth ${hostIfname}`);
}

/** MAC of the device that shapes what a container sends: only must not be one udev thinks random. */
export function ifbMac(ifb: string): string {
  return derived("d1", `ifb ${ifb}`);
}

/** 02:KIND:.. with 32 hashed bits; core/address/mac.ts uses a0, a1 and b0. */
function derived(kind: string, seed: string): string {
  const low = (fnv1a64(seed) & 0xffff_ffffn).toString(16).padStart(8, "0");
  return `02:${kind}:${low.replace(/(..)(?=.)/g, "$1:")}`;
}
