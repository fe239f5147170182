import { Command } from "commander";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type LaunchOptions, launchOptions } from "../src/daemon/options.ts";
import { addLaunchOptions, readDirectories, readLaunchOptions, toArguments } from "./launch-options.ts";

/** What a program with these options makes of its command line. */
function parse(words: readonly string[]): LaunchOptions {
  let read: LaunchOptions | undefined;
  addLaunchOptions(new Command())
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .action((peers: string[], options: unknown) => {
      read = readLaunchOptions(options, peers);
    })
    .parse(words, { from: "user" });
  if (read === undefined) throw new Error("the action was not called");
  return read;
}

test("nothing given: the defaults, and no field for what the daemon finds out", () => {
  expect(parse([])).toEqual({
    port: 6783,
    discovery: true,
    connLimit: 32,
    logLevel: "info",
    dataDir: "/var/lib/weave",
    runDir: "/run/weave",
  });
});

test("everything given", () => {
  const line =
    "--name a --nickname b --host 192.0.2.1 --port 7000 --ipalloc-range 10.2.0.0/16 --ipalloc-default-subnet 10.2.3.0/24 --ipalloc-init seed=a,b --mtu 1400 --conn-limit 7 --no-discovery --log-level debug --data-dir /d --run-dir /r h1 h2:7 [2001:db8::1]:8";
  expect(parse(line.split(" "))).toEqual({
    name: "a",
    nickname: "b",
    host: "192.0.2.1",
    port: 7000,
    range: "10.2.0.0/16",
    defaultSubnet: "10.2.3.0/24",
    init: { kind: "seed", names: ["a", "b"] },
    mtu: 1400,
    connLimit: 7,
    discovery: false,
    logLevel: "debug",
    dataDir: "/d",
    runDir: "/r",
    peers: ["h1", "h2:7", "[2001:db8::1]:8"],
  });
});

test("listeners, and an empty address for none", () => {
  expect(parse(["--http-addr", "127.0.0.1:6784", "--status-addr", "[::]:9"])).toMatchObject({
    httpAddr: "127.0.0.1:6784",
    statusAddr: "[::]:9",
  });
  expect(parse(["--status-addr="])).toMatchObject({ statusAddr: "" });
});

test.each([
  ["--http-addr 0.0.0.0:6784", "--http-addr 0.0.0.0:6784 is not a loopback address: whoever reaches"],
  ["--http-addr [2001:db8::1]:6784", "is not a loopback address"],
  ["--http-addr 127.0.0.1", "--http-addr 127.0.0.1 is not ADDRESS:PORT"],
  ["--http-addr localhost:6784", "is not ADDRESS:PORT"],
  ["--status-addr 127.0.0.1:0", "--status-addr 127.0.0.1:0 is not ADDRESS:PORT"],
  ["--status-addr ::1:6782", "is not ADDRESS:PORT"],
  ["--resume host1", "--resume dials the stored hosts, and host1 was named"],
])("%s is refused", (line, why) => expect(() => parse(line.split(" "))).toThrow(why));

test.each([
  ["--port 0", "--port 0: must be at least 1"],
  ["--port 65536", "--port 65536: must be at most 65535"],
  ["--port 0x10", "--port 0x10 is not a whole number"],
  ["--port=-1", "--port -1 is not a whole number"],
  ["--mtu 575", "--mtu 575: must be at least 576"],
  ["--mtu 1e3", "--mtu 1e3 is not a whole number"],
  ["--conn-limit 257", "--conn-limit 257: must be at most 256"],
  ["--conn-limit x", "--conn-limit x is not a whole number"],
  ["--name a/b", "--name a/b: up to 64 letters"],
  [`--nickname ${"n".repeat(256)}`, "must be at most 255 characters"],
  ["--host host1", "--host host1 is not an IP address"],
  ["--host 192.0.2.1/24", "--host 192.0.2.1/24 is not an IP address"],
  ["--ipalloc-range 10.32.0.0", "--ipalloc-range 10.32.0.0 is not a CIDR"],
  ["--ipalloc-range 10.32.0/12", "--ipalloc-range 10.32.0/12 is not a CIDR"],
  ["--ipalloc-default-subnet x/8", "--ipalloc-default-subnet x/8 is not a CIDR"],
  ["--ipalloc-init quorum", "--ipalloc-init quorum is not understood"],
  ["--ipalloc-init observer=1", "--ipalloc-init observer=1 is not understood"],
  ["--ipalloc-init seed", "--ipalloc-init seed is not understood"],
  ["--ipalloc-init seed=", "--ipalloc-init seed= is not understood"],
  ["--ipalloc-init consensus=", "consensus=: expected is a whole number from 1 to 1024"],
  ["--ipalloc-init consensus=0", "consensus=0: expected is a whole number from 1 to 1024"],
  ["--ipalloc-init consensus=-3", "consensus=-3: expected is a whole number"],
  ["--ipalloc-init consensus=1025", "consensus=1025: expected is a whole number from 1 to 1024"],
  ["--ipalloc-init consensus=3.5", "consensus=3.5: expected is a whole number"],
  ["--ipalloc-init seed=a,b,a", "--ipalloc-init seed=a,b,a names a twice"],
  ["--ipalloc-init seed=a,,b", "--ipalloc-init seed=a,,b: up to 64 letters"],
  ["--ipalloc-init seed=a,,,b", "--ipalloc-init seed=a,,,b: up to 64 letters"],
  [
    "--log-level trace",
    "'--log-level <LEVEL>' argument 'trace' is invalid. Allowed choices are debug, info, warn, error.",
  ],
  ["a@b", '"a@b" is not a peer address'],
  ["host1:70000", '"host1:70000" is not a peer address'],
])("refuses %s, naming the option", (line, message) => {
  expect(() => parse(line.split(" "))).toThrow(message);
});

test.each([
  ["consensus", { kind: "consensus" }],
  ["consensus=1", { kind: "consensus", expected: 1 }],
  ["consensus=1024", { kind: "consensus", expected: 1024 }],
  ["observer", { kind: "observer" }],
  ["seed=a", { kind: "seed", names: ["a"] }],
  ["seed=b, a", { kind: "seed", names: ["b", "a"] }],
])("--ipalloc-init %s", (mode, init) => {
  expect(parse(["--ipalloc-init", mode]).init).toEqual(init);
});

test("the variables stand for the directories, the options go before them, empty means the default", () => {
  vi.stubEnv("WEAVE_RUN_DIR", "/e/run").stubEnv("WEAVE_DATA_DIR", "/e/data");
  expect(parse([])).toMatchObject({ runDir: "/e/run", dataDir: "/e/data" });
  expect(parse(["--run-dir", "/o"])).toMatchObject({ runDir: "/o", dataDir: "/e/data" });
  vi.stubEnv("WEAVE_RUN_DIR", "").stubEnv("WEAVE_DATA_DIR", "");
  expect(parse([])).toMatchObject({ runDir: "/run/weave", dataDir: "/var/lib/weave" });
  vi.unstubAllEnvs();
});

test("directories become absolute, since the daemon works in another", () => {
  expect(readDirectories({ runDir: "r", dataDir: "../d" })).toEqual({
    runDir: `${process.cwd()}/r`,
    dataDir: process.cwd().replace(/\/[^/]*$/, "/d"),
  });
});

test("a run directory whose socket no address can hold is refused", () => {
  const room = 107 - "//weave.sock".length;
  expect(readDirectories({ runDir: `/${"r".repeat(room)}` }).runDir).toHaveLength(room + 1);
  expect(() => readDirectories({ runDir: `/${"r".repeat(room + 1)}` })).toThrow("is too long");
});

const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9:._-]{0,20}$/);
const anyOptions = fc.record(
  {
    name,
    nickname: fc
      .string({ minLength: 1, maxLength: 20, unit: "binary" })
      .filter((text) => !text.includes("\0")),
    host: fc.ipV4(),
    port: fc.integer({ min: 1, max: 65535 }),
    range: fc.constantFrom("10.32.0.0/12", "fd00::/100"),
    defaultSubnet: fc.constantFrom("10.32.1.0/24"),
    init: fc.oneof(
      fc.record({ kind: fc.constant("seed"), names: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }) }),
      fc.record(
        { kind: fc.constant("consensus"), expected: fc.integer({ min: 1, max: 1024 }) },
        { requiredKeys: ["kind"] },
      ),
      fc.constant({ kind: "observer" }),
    ),
    mtu: fc.integer({ min: 576, max: 65535 }),
    logLevel: fc.constantFrom("debug" as const, "info" as const, "warn" as const, "error" as const),
    dataDir: fc.constantFrom("/a b", "/-x", "/=c"),
    runDir: fc.constantFrom("/a b", "/-x", "/=c"),
    peers: fc.array(fc.constantFrom("host1", "192.0.2.1:99", "2001:db8::1"), { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: [] },
);

test("what weave writes for weaver, weaver reads back the same", () => {
  fc.assert(
    fc.property(anyOptions, (some) => {
      const options = launchOptions.parse(some);
      expect(parse(toArguments(options))).toEqual(options);
    }),
  );
});
