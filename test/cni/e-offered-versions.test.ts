// Case 75 of the contract: a list never offers a version that a plugin of its chain does not speak: not ours as setup
// writes it, and of a user's it is told.
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Host } from "../support/host.ts";
import { loadNetwork, parseNetwork } from "../support/libcni/libcni.ts";
import { failureOf } from "./errors.ts";
import { attachmentOf, DEBIAN, useRig } from "./rig.ts";

describe("E. the versions a list offers", () => {
  const rig = useRig();
  let host: Host;
  let directories: string[];
  let file: string;

  beforeAll(() => {
    host = rig.host;
    directories = ["--cni-bin-dir", host.cniBinDir, "--cni-conf-dir", host.cniConfDir];
    file = join(host.cniConfDir, "10-weave.conflist");
    for (const plugin of ["portmap", "loopback"])
      symlinkSync(join(DEBIAN, plugin), join(host.cniBinDir, plugin));
  });

  it("case 75: setup's own list is one that every plugin in it can serve, in whatever a runtime takes", async () => {
    await host.weaveOk("setup", "--format", "conflist", ...directories);
    for (const newest of ["0.4.0", "1.0.0", "1.1.0"]) {
      const network = loadNetwork(host.cniConfDir, "weave", newest);
      await rig.cni.validate(network);
      await rig.detach(await rig.attached(network));
    }
    expect(loadNetwork(host.cniConfDir, "weave").cniVersion).toBe("1.1.0");
  });

  it("case 75: a list of the user's with an older portmap is left alone, and told of", async () => {
    const list = {
      cniVersion: "1.0.0",
      cniVersions: ["1.0.0", "1.1.0"],
      name: "weave",
      plugins: [{ type: "weave-net" }, { type: "portmap", capabilities: { portMappings: true } }],
    };
    writeFileSync(file, JSON.stringify(list));
    await host.weave("setup", "--format", "conflist", ...directories);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(list);
    const told = await host.weave("status", "cni", ...directories);
    expect(told).toMatchObject({ exit: 1, stdout: expect.stringMatching(/portmap.*1\.1\.0/) });
    // What would happen otherwise: a new runtime takes 1.1.0, and portmap refuses it.
    const pod = rig.pod();
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
    const attachment = attachmentOf(pod, "eth0", { capabilityArgs: { portMappings } });
    const network = loadNetwork(host.cniConfDir, "weave");
    await expect(rig.cni.validate(network)).rejects.toThrow("portmap");
    const failure = await failureOf(rig.cni.add(network, attachment));
    expect(failure).toMatchObject({ code: 1, run: { type: "portmap" } });
    await rig.cni.del(parseNetwork({ ...list, cniVersions: [] }), attachment);
  });
});
