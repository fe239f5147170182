// What the forwarder answers before and without a daemon: VERSION, and everything that is wrong with the call
// itself.
import { chmodSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildForwarder, CONFIG, ENVIRONMENT, type Forwarder, type Run, run } from "../testing/forwarder.ts";

let forwarder: Forwarder;
beforeAll(() => {
  forwarder = buildForwarder();
});
afterAll(() => forwarder.remove());

const net = (env: Record<string, string | undefined>, stdin?: Parameters<typeof run>[2]): Promise<Run> =>
  run([join(forwarder.dir, "weave-net")], { WEAVE_SOCKET: "/nonexistent/weave.sock", ...env }, stdin);
const sh = (script: string, env: Record<string, string>): Promise<Run> =>
  run(["/bin/sh", "-c", script, join(forwarder.dir, "weave-net")], {
    WEAVE_SOCKET: "/nonexistent/weave.sock",
    ...env,
  });

const VERSIONS =
  '{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}\n';

describe("without CNI_COMMAND", () => {
  test("says what it is on stderr", async () => {
    for (const env of [{}, { CNI_COMMAND: "" }]) {
      const { exit, stdout, stderr } = await net(env);
      expect({ exit, stdout }).toEqual({ exit: 0, stdout: "" });
      expect(stderr).toContain("weave-net");
      expect(stderr).toContain("0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0");
    }
  });
});

describe("VERSION", () => {
  test("needs nothing but the command", async () => {
    expect(await sh('exec "$0" <&- 2>&-', { CNI_COMMAND: "VERSION" })).toMatchObject({
      exit: 0,
      stdout: VERSIONS,
    });
  });

  test("takes the dummies libcni sends, from either name", async () => {
    const env = {
      CNI_COMMAND: "VERSION",
      CNI_NETNS: "dummy",
      CNI_IFNAME: "dummy",
      CNI_PATH: "dummy",
      CNI_CONTAINERID: "",
    };
    expect(await net(env, '{"cniVersion":"1.1.0"}')).toMatchObject({ exit: 0, stdout: VERSIONS });
    expect(await run([join(forwarder.dir, "weave-ipam")], env)).toMatchObject({ exit: 0, stdout: VERSIONS });
  });

  test("does not wait for stdin", async () => {
    const { stdout } = await net({ CNI_COMMAND: "VERSION" }, null);
    expect(stdout).toBe(VERSIONS);
  });
});

describe("environment: code 4", () => {
  test("an unknown command is named", async () => {
    expect((await net({ ...ENVIRONMENT, CNI_COMMAND: "FOO" })).json).toMatchObject({
      code: 4,
      msg: "unknown CNI_COMMAND: FOO",
    });
  });

  test("missing variables are named together", async () => {
    const { exit, json } = await net({ CNI_COMMAND: "ADD", CNI_IFNAME: "" });
    expect(exit).toBe(1);
    expect(json).toMatchObject({
      code: 4,
      msg: expect.stringContaining("[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME]"),
    });
    const check = await net({ ...ENVIRONMENT, CNI_COMMAND: "CHECK", CNI_NETNS: undefined });
    expect(check.json).toMatchObject({ code: 4, msg: expect.stringContaining("[CNI_NETNS]") });
    const del = await net({ ...ENVIRONMENT, CNI_COMMAND: "DEL", CNI_IFNAME: undefined });
    expect(del.json).toMatchObject({ code: 4, msg: expect.stringContaining("[CNI_IFNAME]") });
  });

  test("bytes that are not UTF-8", async () => {
    const { json } = await sh('CNI_NETNS=$(printf "/run/\\377") exec "$0"', ENVIRONMENT);
    expect(json).toMatchObject({
      code: 4,
      msg: expect.stringContaining("CNI_NETNS"),
      details: "/run/\ufffd",
    });
  });
});

describe("stdin", () => {
  test("closed, empty: code 6", async () => {
    expect((await sh('exec "$0" <&-', ENVIRONMENT)).json).toMatchObject({ code: 6 });
    expect((await net(ENVIRONMENT, "")).json).toMatchObject({
      code: 6,
      msg: expect.stringContaining("empty"),
    });
  });

  test("not UTF-8: code 6", async () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]) {
      const stdin = Buffer.concat([Buffer.from('{"name":"n","x":"'), Buffer.from(bytes), Buffer.from('"}')]);
      expect((await net(ENVIRONMENT, stdin)).json).toMatchObject({
        code: 6,
        msg: expect.stringContaining("UTF-8"),
      });
    }
  });

  test("larger than 8 MiB: code 5", async () => {
    const stdin = `{"name":"n","x":"${"a".repeat(8 << 20)}"}`;
    expect((await net(ENVIRONMENT, stdin)).json).toMatchObject({
      code: 5,
      msg: expect.stringContaining("8 MiB"),
    });
  });

  test("nested without end: code 6", async () => {
    expect((await net(ENVIRONMENT, `{"name":"n","x":${"[".repeat(100_000)}`)).json).toMatchObject({
      code: 6,
    });
  });

  test("a directory: code 5", async () => {
    expect((await sh('exec "$0" </', ENVIRONMENT)).json).toMatchObject({ code: 5 });
  });

  // The next three get as far as the missing daemon.
  test("a regular file, and byte by byte through a slow pipe", async () => {
    const file = join(forwarder.dir, "config.json");
    writeFileSync(file, CONFIG);
    expect((await sh(`exec "$0" <${file}`, ENVIRONMENT)).json).toMatchObject({ code: 11 });
    expect((await net(ENVIRONMENT, [...CONFIG])).json).toMatchObject({ code: 11 });
  });

  test("3 MiB of valid JSON", async () => {
    const stdin = `{"name":"n","x":[${'"\\"\\u00e4",'.repeat(300_000)}1]}`;
    expect((await net(ENVIRONMENT, stdin)).json).toMatchObject({ code: 11, cniVersion: "0.1.0" });
  });

  test("working directory gone, umask 077, stderr closed", async () => {
    const gone = join(forwarder.dir, "gone");
    mkdirSync(gone);
    chmodSync(gone, 0o700);
    const running = sh(
      `cd ${gone} && rmdir ${gone} && umask 077 && printf '%s' '${CONFIG}' | "$0" 2>&-`,
      ENVIRONMENT,
    );
    expect((await running).json).toMatchObject({ code: 11 });
    expect(() => rmdirSync(gone)).toThrow("ENOENT");
  });
});

describe("the namespace", () => {
  test("the host's own: code 8, for ADD and CHECK", async () => {
    for (const CNI_COMMAND of ["ADD", "CHECK"]) {
      const { json } = await net({ ...ENVIRONMENT, CNI_COMMAND, CNI_NETNS: "/proc/self/ns/net" });
      expect(json).toMatchObject({ code: 8, details: "/proc/self/ns/net" });
    }
  });

  test("a FIFO does not hang the call", async () => {
    const fifo = join(forwarder.dir, "fifo");
    await run(["/usr/bin/mkfifo", fifo], {});
    expect((await net({ ...ENVIRONMENT, CNI_NETNS: fifo })).json).toMatchObject({ code: 11 });
  });

  test("CNI_NETNS_OVERRIDE leaves that to the daemon", async () => {
    const env = { ...ENVIRONMENT, CNI_NETNS: "/proc/self/ns/net" };
    expect((await net({ ...env, CNI_NETNS_OVERRIDE: "0" })).json).toMatchObject({ code: 8 });
    expect((await net({ ...env, CNI_NETNS_OVERRIDE: "True" })).json).toMatchObject({ code: 11 });
  });
});

describe("the daemon is away", () => {
  test.each([
    ["ADD", 11],
    ["CHECK", 11],
    ["GC", 11],
    ["STATUS", 50],
  ])("%s: code %i, at once, with what to do", async (CNI_COMMAND, code) => {
    const { exit, stdout, json, ms } = await net({ ...ENVIRONMENT, CNI_COMMAND });
    expect(exit).toBe(1);
    expect(json).toMatchObject({
      cniVersion: "1.1.0",
      code,
      msg: expect.stringMatching(/\/nonexistent\/weave.sock .*weave launch/),
    });
    expect(stdout).toMatch(/^\{.*\}\n$/);
    expect(ms).toBeLessThan(5000);
  });

  test("a socket nobody listens on, a path too long for a socket", async () => {
    const stale = join(forwarder.dir, "config.sock");
    writeFileSync(stale, "");
    expect((await net({ ...ENVIRONMENT, WEAVE_SOCKET: stale })).json).toMatchObject({
      code: 11,
      msg: expect.stringContaining("refused"),
    });
    const long = `/tmp/${"a".repeat(200)}/weave.sock`;
    expect((await net({ ...ENVIRONMENT, WEAVE_SOCKET: long })).json).toMatchObject({
      code: 11,
      msg: expect.stringContaining("longer"),
    });
  });
});

test("what a start costs", async () => {
  const times: number[] = [];
  for (let i = 0; i < 50; i++) times.push((await net({ CNI_COMMAND: "VERSION" })).ms);
  times.sort((a, b) => a - b);
  console.log(
    `forwarder VERSION, spawned from Node: median ${times[25]?.toFixed(1)} ms, worst ${times[49]?.toFixed(1)} ms`,
  );
});
