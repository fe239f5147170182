// Cases 45-48 and 51 of the contract: which namespaces are accepted, and a range with no address left.

import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { Libcni } from "../support/libcni/libcni.ts";
import { failureOf } from "./errors.ts";
import { expectEmpty, type Remains, remainsOf } from "./remains.ts";
import { type Attached, attachmentOf, useRig } from "./rig.ts";

describe("C. namespaces", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;
  let pod: Container;

  beforeAll(async () => {
    host = rig.host;
    pod = rig.pod();
    before = await remainsOf(host);
  });

  async function refuses(netns: string, code: number): Promise<void> {
    const failure = await failureOf(rig.cni.add(rig.network(), { ...attachmentOf(pod), netns }));
    expect(failure, failure.message).toMatchObject({ code, msg: expect.stringContaining(netns) });
    expect(await remainsOf(host)).toEqual(before);
  }

  it("case 45: a path that is missing: refused, and not as an unknown container", async () => {
    await refuses("/run/netns/there-is-none", 101);
    await refuses("/run/netns/there/is/none", 101);
  });

  it("case 46: a path that is no namespace: refused", async () => {
    const file = join(rig.lab.dir, "plain");
    writeFileSync(file, "");
    await refuses(file, 8);
    await refuses(rig.lab.dir, 8);
    await refuses("/dev/null", 8);
    const fifo = join(rig.lab.dir, "fifo");
    execFileSync("mkfifo", [fifo]);
    await refuses(fifo, 8);
    const loop = join(rig.lab.dir, "loop");
    symlinkSync(loop, loop);
    await refuses(loop, 8);
    await refuses("/proc/self/ns/mnt", 8); // a namespace, and not of the network
  });

  it("case 47: the host's own namespace: code 8, before any change", async () => {
    await refuses("/proc/self/ns/net", 8);
    await refuses(host.namespace.path, 8);
    await refuses(`/proc/${host.pid()}/ns/net`, 8);
    // The forwarder accepts it then; the daemon does not.
    const attachment = { ...attachmentOf(pod), netns: host.namespace.path };
    const stubborn = new Libcni({
      netns: host.namespace.path,
      binDirs: [host.cniBinDir],
      cacheDir: rig.lab.dir,
      env: { CNI_NETNS_OVERRIDE: "1" },
    });
    expect((await failureOf(stubborn.add(rig.network(), attachment))).code).toBe(8);
    expect(await remainsOf(host)).toEqual(before);
  });

  describe("case 48: a namespace given", () => {
    async function works(netns: string): Promise<void> {
      const attachment = { ...attachmentOf(pod), netns };
      await rig.cni.add(rig.network(), attachment);
      expect(await pod.pings(before.endpoints[0] ?? "")).toBe(true);
      await rig.cni.del(rig.network(), attachment);
      await expectEmpty(pod);
      expect(await remainsOf(host)).toEqual(before);
    }

    it("as /proc/PID/ns/net", async () => {
      const inside = spawn("nsenter", [`--net=${pod.namespace.path}`, "sleep", "60"]);
      try {
        const path = `/proc/${inside.pid}/ns/net`;
        await eventually("sleep is inside", () => {
          const sleeping = execFileSync("ps", ["-o", "comm=", "-p", String(inside.pid)], {
            encoding: "utf8",
          });
          return sleeping.trim() === "sleep";
        });
        await works(path);
      } finally {
        inside.kill("SIGKILL");
      }
    });

    it("as a bind mount", () => works(pod.namespace.path));

    it("below a deep path with blanks", async () => {
      const dir = join(rig.lab.dir, ..."a b/c d/e f/g".split("/"));
      mkdirSync(dir, { recursive: true });
      const path = join(dir, "the name space");
      closeSync(openSync(path, "w"));
      execFileSync("mount", ["--bind", pod.namespace.path, path]);
      try {
        await works(path);
      } finally {
        execFileSync("umount", [path]);
      }
    });

    it("as a symbolic link", async () => {
      const path = join(rig.lab.dir, "link");
      symlinkSync(pod.namespace.path, path);
      await works(path);
    });
  });
});

describe("C. a range without a free address", () => {
  // 8 addresses, without those of network, broadcast and bridge.
  const rig = useRig({ launch: ["--ipalloc-range", "10.99.0.0/29"] });

  it("case 51: code 102, and nothing in either namespace", async () => {
    const attached: Attached[] = [];
    for (let count = 0; count < 5; count++) attached.push(await rig.attached());
    const before = await remainsOf(rig.host);
    const pod = rig.pod("late");
    const failure = await failureOf(rig.attach(pod));
    expect(failure).toMatchObject({ code: 102, msg: expect.stringContaining("10.99.0.0/29") });
    expect(await remainsOf(rig.host)).toEqual(before);
    await expectEmpty(pod);
    const [freed] = attached;
    if (freed !== undefined) await rig.detach(freed);
    const late = await rig.attach(pod);
    expect(late.address).toBe(freed?.address);
    for (const one of [...attached.slice(1), late]) await rig.detach(one);
  });
});
