// Docker beside us. It sets the policy of FORWARD to DROP, and lets bridged packets go through it: containers of weave
// would be cut off from everything. Weave stands in DOCKER-USER, and again after somebody emptied that. And its containers
// are attached by hand, by the names it gives them.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import { dockerPrograms, startDocker } from "../support/docker.ts";
import type { Outcome } from "../support/host.ts";
import { BOX_IMAGE, buildImages } from "../support/images.ts";
import { useLab } from "../support/lab.ts";

const DEADLINE_MS = 1_000;
const programs = dockerPrograms();

describe("beside Docker", () => {
  const lab = useLab(2);

  it("containers reach each other and the outside, also after DOCKER-USER was emptied", async (ctx) => {
    if ("lacking" in programs) return ctx.skip(programs.lacking);
    const [alice, bob] = [lab.host(1), lab.host(2)];
    const docker = await startDocker(alice.namespace, programs.dir, join(lab.dir, "docker"));
    try {
      await alice.namespace.run("sysctl -w net.bridge.bridge-nf-call-iptables=1");
      expect(await alice.namespace.run("iptables -S FORWARD")).toContain("-P FORWARD DROP");
      await lab.launchAll();
      const outside = await lab.addOutsider();
      const [here, also, there] = [
        await lab.attached(alice, "c1"),
        await lab.attached(alice, "c2"),
        await lab.attached(bob, "c3"),
      ];
      await lab.untilKnown([here, also, there]);
      const targets = [also.address, there.address, outside.address];
      const reached = (): Promise<boolean[]> =>
        Promise.all(targets.map((to) => here.namespace.succeeds(`ping -c 1 -W 1 ${to}`)));
      expect(await reached()).toEqual([true, true, true]);

      const empty = async (): Promise<void> => {
        await alice.namespace.run("iptables -F DOCKER-USER");
        await alice.namespace.run("iptables -A DOCKER-USER -j RETURN");
      };
      await empty();
      await eventually(
        "the accept is back, and told",
        async () => {
          const repairs = (await alice.status()).repairs ?? [];
          const rules = await alice.namespace.run("iptables -S DOCKER-USER");
          return (
            rules.includes("-i weave -j ACCEPT") && repairs.some((r) => r.object.startsWith("accept in"))
          );
        },
        DEADLINE_MS,
      );
      expect(await reached()).toEqual([true, true, true]);

      // It is needed: without the daemon they are cut off.
      await alice.kill();
      await empty();
      expect(await reached()).toEqual([false, false, false]);
    } finally {
      await docker.stop();
    }
  });

  it("its containers are attached and detached by name and id", async (ctx) => {
    if ("lacking" in programs) return ctx.skip(programs.lacking);
    const [alice, bob] = [lab.host(1), lab.host(2)];
    const docker = await startDocker(bob.namespace, programs.dir, join(lab.dir, "docker-of-bob"));
    const weave = (...words: string[]): Promise<Outcome> =>
      bob.weaveWith({ DOCKER_HOST: docker.host }, ...words);
    try {
      await alice.launch(); // the test before killed it
      await lab.untilAllOk();
      const from = await lab.attached(alice, "from");
      docker.run("load", "--input", buildImages(join(lab.dir, "images")).box);
      const id = docker.run("run", "--detach", "--network", "none", "--name", "web", BOX_IMAGE);
      const attached = await weave("attach", "web");
      expect(attached).toMatchObject({ exit: 0, stderr: "" });
      const address = attached.stdout.trim().split("/")[0] ?? "";
      await from.reaches(address);
      expect(await weave("attach", id.slice(0, 12))).toEqual(attached);
      const shown = { exit: 0, stdout: expect.stringMatching(`^${id.slice(0, 12)} \\S+ ${address}/`) };
      expect(await weave("ps", "web")).toMatchObject(shown);
      expect(await weave("ps", id)).toMatchObject(shown);
      expect(await weave("detach", "web")).toMatchObject({ exit: 0, stdout: attached.stdout });
      expect(await from.pings(address)).toBe(false);

      const again = await weave("attach", "web"); // another address: the former one rests
      docker.run("kill", "web");
      expect(await weave("attach", "web")).toMatchObject({
        exit: 1,
        stdout: "",
        stderr: expect.stringContaining("Docker's container web does not run"),
      });
      expect(await weave("detach", "web")).toMatchObject({ exit: 0, stdout: again.stdout });
      expect((await weave("ps")).stdout).not.toContain(id.slice(0, 12));
      expect(await weave("attach", "web2")).toMatchObject({
        exit: 1,
        stderr: expect.stringContaining("Docker knows none"),
      });
    } finally {
      docker.run("rm", "--force", "web");
      await docker.stop();
    }
  });
});
