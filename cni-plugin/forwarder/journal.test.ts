// DEL without the daemon: the release is journaled beside the socket. Called as weave-ipam, which has no
// interface to delete and needs no privilege; test/kernel/forwarder.test.ts has the interface.
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  bootMs,
  buildForwarder,
  ENVIRONMENT,
  type Forwarder,
  type Run,
  run,
  runDelayed,
} from "../testing/forwarder.ts";

let forwarder: Forwarder;
beforeAll(() => {
  forwarder = buildForwarder();
});
afterAll(() => forwarder.remove());

const del = (runDir: string, env: Record<string, string> = {}, stdin?: string): Promise<Run> =>
  run(
    [join(forwarder.dir, "weave-ipam")],
    { ...ENVIRONMENT, CNI_COMMAND: "DEL", WEAVE_SOCKET: join(runDir, "weave.sock"), ...env },
    stdin,
  );

test("one whole file for each release, private, in directories that are made when missing", async () => {
  const runDir = join(forwarder.dir, "run", "weave");
  const before = bootMs();
  expect(await del(runDir)).toMatchObject({ exit: 0, stdout: "", stderr: "" });
  expect(await del(runDir)).toMatchObject({ exit: 0, stdout: "" });
  const journal = join(runDir, "journal");
  const names = readdirSync(journal);
  expect(names).toHaveLength(2);
  for (const name of names) {
    expect(name).toMatch(/^[0-9a-f]{16}-\d+-\d+\.json$/);
    expect(statSync(join(journal, name)).mode & 0o777).toBe(0o600);
    const entry = JSON.parse(readFileSync(join(journal, name), "utf8"));
    expect(entry).toEqual({
      network: "net1",
      containerId: "c-1",
      ifname: "eth0",
      bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
      bootMs: expect.any(Number),
    });
    expect(entry.bootMs).toBeGreaterThanOrEqual(before);
    expect(entry.bootMs).toBeLessThanOrEqual(bootMs() + 10);
  }
  expect(statSync(runDir).mode & 0o777).toBe(0o700);
  expect(statSync(journal).mode & 0o777).toBe(0o700);
});

test("a release bears the moment its call was made, not that of its writing", async () => {
  const runDir = mkdtempSync(join(forwarder.dir, "run-"));
  const env = { ...ENVIRONMENT, CNI_COMMAND: "DEL", WEAVE_SOCKET: join(runDir, "weave.sock") };
  const { exit, waitingAt } = await runDelayed(join(forwarder.dir, "weave-ipam"), env);
  expect(exit).toBe(0);
  const [name = ""] = readdirSync(join(runDir, "journal"));
  const entry = JSON.parse(readFileSync(join(runDir, "journal", name), "utf8"));
  expect(entry.bootMs).toBeLessThanOrEqual(waitingAt);
});

test("names are quoted as JSON wants", async () => {
  const runDir = mkdtempSync(join(forwarder.dir, "run-"));
  await del(runDir, { CNI_IFNAME: '"\\ü' });
  const [name = ""] = readdirSync(join(runDir, "journal"));
  expect(JSON.parse(readFileSync(join(runDir, "journal", name), "utf8"))).toMatchObject({ ifname: '"\\ü' });
});

test("a journal that cannot be written is an error naming the place", async () => {
  const runDir = mkdtempSync(join(forwarder.dir, "run-"));
  writeFileSync(join(runDir, "journal"), "");
  const { exit, json } = await del(runDir);
  expect(exit).toBe(1);
  expect(json).toMatchObject({ code: 5, msg: expect.stringContaining(join(runDir, "journal")) });
  const nowhere = await del("/proc/nowhere");
  expect(nowhere.json).toMatchObject({ code: 5, msg: expect.stringContaining("/proc/nowhere/journal") });
});

test("works without CNI_NETNS, with one that is gone, with the host's, and in every version", async () => {
  const runDir = mkdtempSync(join(forwarder.dir, "run-"));
  for (const CNI_NETNS of ["", "/nonexistent", "/proc/self/ns/net", "/etc/passwd"]) {
    expect((await del(runDir, { CNI_NETNS })).exit).toBe(0);
  }
  for (const version of ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]) {
    expect(
      (await del(runDir, {}, `{"cniVersion":"${version}","name":"n","prevResult":"garbage"}`)).exit,
    ).toBe(0);
  }
  expect(readdirSync(join(runDir, "journal"))).toHaveLength(11);
});

test("bad input is not journaled", async () => {
  const runDir = mkdtempSync(join(forwarder.dir, "run-"));
  expect((await del(runDir, {}, "{")).json).toMatchObject({ code: 6 });
  expect((await del(runDir, { CNI_IFNAME: "" })).json).toMatchObject({ code: 4 });
  expect((await del(runDir, {}, '{"name":"n","cniVersion":"9"}')).json).toMatchObject({ code: 1 });
  expect(readdirSync(runDir)).toEqual([]);
});
