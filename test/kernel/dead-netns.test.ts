// Which namespaces are judged dead: those nothing refers to any more, and no other.
import { spawn } from "node:child_process";
import { closeSync, openSync, readlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLinuxKernel } from "../../src/kernel/linux.ts";
import type { Kernel } from "../../src/ports/kernel.ts";
import { eventually, TestNamespace, whyNot } from "./support/namespaces.ts";

describe.skipIf(whyNot() !== undefined)("dead namespaces", () => {
  let kernel: Kernel;
  const made: TestNamespace[] = [];

  beforeAll(() => {
    kernel = createLinuxKernel();
  });
  afterAll(async () => {
    await kernel?.close();
    for (const netns of made) netns.remove();
  });

  const namespace = async (label: string): Promise<{ netns: TestNamespace; id: string }> => {
    const netns = new TestNamespace(label);
    made.push(netns);
    const open = await kernel.openNetns({ path: netns.path });
    await kernel.closeNetns(open);
    return { netns, id: open.id };
  };

  test("one that is bound at a path lives, one that was removed is dead", async () => {
    const [kept, removed] = [await namespace("kept"), await namespace("removed")];
    expect(await kernel.deadNetns([kept.id, removed.id])).toEqual(new Set());
    removed.netns.remove();
    expect(await kernel.deadNetns([kept.id, removed.id])).toEqual(new Set([removed.id]));
  });

  test("another namespace that has the inode now does not keep it alive", async () => {
    const { id } = await namespace("reused");
    const [inode, cookie] = id.split("-");
    const former = `${inode}-${Number(cookie) - 1}`;
    expect(await kernel.deadNetns([id, former, `${inode}-0`])).toEqual(new Set([former]));
  });

  test("what is no id of ours is not judged", async () => {
    expect(await kernel.deadNetns(["", "memory-1", "12", "12-x", "net:[4026531833]-1"])).toEqual(new Set());
    expect(await kernel.deadNetns([])).toEqual(new Set());
  });

  test("a process alone, a descriptor alone, and a mount in another mount namespace keep one alive", async () => {
    const [byProcess, byDescriptor, byMount] = [
      await namespace("process"),
      await namespace("descriptor"),
      await namespace("mount"),
    ];
    const fd = openSync(byDescriptor.netns.path, "r");
    const inside = spawn("nsenter", [`--net=${byProcess.netns.path}`, "sleep", "60"], { stdio: "ignore" });
    // On a file system of its own: a mount point that is unlinked loses its mounts in all mount namespaces.
    const mounts = `mount -t tmpfs weave-test /mnt && touch "/mnt/n s" && mount --bind ${byMount.netns.path} "/mnt/n s"`;
    // `ip netns exec` gives what it runs a mount namespace of its own.
    const { netns: room } = await namespace("room");
    const shell = ["sh", "-c", `${mounts} && echo done && exec sleep 60`];
    const elsewhere = spawn("ip", ["netns", "exec", room.name, ...shell], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ids = [byProcess.id, byDescriptor.id, byMount.id];
    try {
      await new Promise((resolve) => elsewhere.stdout.once("data", resolve));
      const own = readlinkSync("/proc/self/ns/net");
      await eventually("nsenter has entered", () => readlinkSync(`/proc/${inside.pid}/ns/net`) !== own);
      for (const { netns } of [byProcess, byDescriptor, byMount]) netns.remove();
      expect(await kernel.deadNetns(ids)).toEqual(new Set());
    } finally {
      elsewhere.kill();
      inside.kill();
    }
    await eventually("only the descriptor is left", async () => {
      const dead = await kernel.deadNetns(ids);
      return dead.size === 2 && !dead.has(byDescriptor.id);
    });
    closeSync(fd);
    expect(await kernel.deadNetns(ids)).toEqual(new Set(ids));
  });

  test("two hundred are judged at once, quickly", async () => {
    const ids = Array.from({ length: 200 }, (_, i) => `${5_000_000_000 + i}-7`);
    const started = performance.now();
    expect((await kernel.deadNetns(ids)).size).toBe(200);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
