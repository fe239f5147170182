// The two sides: weave with a daemon of its own, and Debian's bridge with host-local, configured for the same: a default
// route through the bridge, hairpin, IPv4, with or without masquerade.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../run.mjs";
import { must, PATH } from "./commands.mjs";
import { linksOf, makeHost, netnsPath } from "./place.mjs";

/** Where Debian's containernetworking-plugins are. */
export const REFERENCE_PLUGINS = "/usr/lib/cni";
/** The newest version that Debian's plugins speak, and the first with STATUS, which they do not. */
const VERSION = "1.0.0";
const STATUS_VERSION = "1.1.0";

/** Weave's side in directory `base`: installed by `weave setup`, its daemon launched by `weave launch`. */
export async function makeWeave(base) {
  await makeHost("weave");
  const bin = join(base, "bin");
  const env = { PATH, WEAVE_DATA_DIR: join(base, "data"), WEAVE_RUN_DIR: join(base, "run") };
  const weave = (...words) =>
    must("nsenter", [`--net=${netnsPath("weave")}`, join(repositoryRoot, "dist/bin/weave"), ...words], {
      env,
    });
  const conf = join(base, "conf");
  for (const directory of [bin, conf]) mkdirSync(directory, { recursive: true });
  await weave("setup", "--cni-bin-dir", bin, "--cni-conf-dir", conf);
  const launch = () => weave("launch", "--nickname", "bench");
  await launch();
  return {
    call: caller("weave", bin, join(bin, "weave-net"), (ipMasq) => ({
      cniVersion: VERSION,
      name: ipMasq ? "masquerade" : "plain",
      type: "weave-net",
      hairpinMode: true,
      ipMasq,
    })),
    async relaunch() {
      await weave("stop");
      await launch();
    },
    status: async () => JSON.parse(await weave("status", "--json")),
    /** Resident memory of the daemon in MiB. */
    residentMiB() {
      const pid = readFileSync(join(base, "run/weaver.pid"), "utf8").trim();
      const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      return Number(kib) / 1024;
    },
    links: () => linksOf(netnsPath("weave")),
    nftables: async () =>
      JSON.parse(await must("nsenter", [`--net=${netnsPath("weave")}`, "nft", "-json", "list", "ruleset"])),
  };
}

/** The reference's side; its addresses are files in directory `base`. */
export async function makeReference(base) {
  await makeHost("reference");
  return {
    call: caller("reference", REFERENCE_PLUGINS, join(REFERENCE_PLUGINS, "bridge"), (ipMasq) => ({
      cniVersion: VERSION,
      name: ipMasq ? "masquerade" : "plain",
      type: "bridge",
      // The plugin wants a bridge of its own for each subnet.
      bridge: ipMasq ? "cni1" : "cni0",
      isGateway: true,
      hairpinMode: true,
      ipMasq,
      ipam: {
        type: "host-local",
        subnet: ipMasq ? "10.45.0.0/16" : "10.44.0.0/16",
        routes: [{ dst: "0.0.0.0/0" }],
        dataDir: join(base, "addresses"),
      },
    })),
  };
}

/** Makes the calls of a side for the caller: what a runtime puts into environment and standard input. */
function caller(side, bin, plugin, configuration) {
  return (command, { container = "", netns = "", ipMasq = false } = {}) => {
    const config = configuration(ipMasq);
    if (command === "STATUS") config.cniVersion = STATUS_VERSION;
    return {
      netns: netnsPath(side),
      plugin,
      stdin: JSON.stringify(config),
      env: {
        PATH,
        CNI_COMMAND: command,
        CNI_CONTAINERID: container,
        CNI_NETNS: netns,
        CNI_IFNAME: "eth0",
        CNI_PATH: bin,
      },
    };
  };
}
