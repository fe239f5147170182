// The options of a launch on a command line: `weave launch` takes them from the user, `weaver` takes them from
// `weave launch` or from a service manager. Declaring, reading and writing them stand side by side here, so that the
// two programs cannot differ. What the values mean is src/daemon/config.ts.
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { z } from "zod";
import { parseAddress, parseCidr } from "../src/core/address/cidr.ts";
import { WeaveError } from "../src/core/errors.ts";
import { DEFAULT_CONN_LIMIT, MAX_ESTABLISHED } from "../src/core/mesh/constants.ts";
import { checkTarget } from "../src/daemon/config.ts";
import {
  DEFAULT_DATA_DIR,
  DEFAULT_PORT,
  DEFAULT_RANGE,
  DEFAULT_RUN_DIR,
  DEFAULT_STATUS_ADDR,
  isLoopback,
  type LaunchOptions,
  LOG_LEVELS,
  launchOptions,
  MAX_EXPECTED,
  parseListenAddress,
  SOCKET_FILE,
} from "../src/daemon/options.ts";
import { addPasswordOptions } from "./password.ts";

/** sun_path of struct sockaddr_un (linux/un.h) has 108 bytes, the last of them NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

const text = z.string().optional();
const directories = z.object({ runDir: text, dataDir: text });
const given = directories.extend({
  name: text,
  nickname: text,
  host: text,
  port: text,
  ipallocRange: text,
  ipallocDefaultSubnet: text,
  ipallocInit: text,
  mtu: text,
  connLimit: text,
  discovery: z.boolean().optional(),
  logLevel: text,
  httpAddr: text,
  statusAddr: text,
  resume: z.boolean().optional(),
});

/** What the user wrote for each field of LaunchOptions. */
const OPTION_OF: Readonly<Record<keyof LaunchOptions, string>> = {
  name: "--name",
  nickname: "--nickname",
  host: "--host",
  port: "--port",
  range: "--ipalloc-range",
  defaultSubnet: "--ipalloc-default-subnet",
  init: "--ipalloc-init",
  mtu: "--mtu",
  connLimit: "--conn-limit",
  discovery: "--no-discovery",
  logLevel: "--log-level",
  httpAddr: "--http-addr",
  statusAddr: "--status-addr",
  peers: "PEER",
  dataDir: "--data-dir",
  runDir: "--run-dir",
};

/** `--run-dir`, for every verb that talks to the daemon. Read it with `readDirectories`. */
export function runDirOption(): Option {
  return new Option("--run-dir <DIR>", "where socket, pid file and log are")
    .env("WEAVE_RUN_DIR")
    .default(DEFAULT_RUN_DIR, DEFAULT_RUN_DIR);
}

/** `--data-dir`, for verbs that start a daemon or remove its state. */
export function dataDirOption(): Option {
  return new Option("--data-dir <DIR>", "where state that survives a restart is")
    .env("WEAVE_DATA_DIR")
    .default(DEFAULT_DATA_DIR, DEFAULT_DATA_DIR);
}

/** Absolute paths of the two directories; an empty text (an empty variable) means the default. Throws bad-request. */
export function readDirectories(options: unknown): { runDir: string; dataDir: string } {
  const { runDir, dataDir } = directories.parse(options);
  const found = { runDir: resolve(runDir || DEFAULT_RUN_DIR), dataDir: resolve(dataDir || DEFAULT_DATA_DIR) };
  const bytes = Buffer.byteLength(join(found.runDir, SOCKET_FILE));
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new WeaveError("bad-request", `--run-dir ${found.runDir} is too long`, {
      hint: `the socket in it may have a path of ${MAX_SOCKET_PATH_BYTES} bytes, this one has ${bytes}`,
    });
  }
  return found;
}

/** Declares the options and the PEER arguments. */
export function addLaunchOptions(command: Command): Command {
  command
    .argument("[PEER...]", "hosts to join: HOST, HOST:PORT or [IPV6]:PORT; none: those of the last launch")
    .option(
      "--name <NAME>",
      "name of this peer, unique in the cluster; else random, kept in the data directory",
    )
    .option("--nickname <NAME>", "name to show; else the host name")
    .option(
      "--host <ADDR>",
      "address to listen on and to give to peers; else all, and that of the default route",
    )
    .option("--port <PORT>", `TCP port of the mesh (else ${DEFAULT_PORT})`)
    .option(
      "--ipalloc-range <CIDR[,CIDR]>",
      `addresses the cluster divides, the same on all hosts; IPv4, IPv6 or both (else ${DEFAULT_RANGE})`,
    )
    .option(
      "--ipalloc-default-subnet <CIDR[,CIDR]>",
      "where containers that name no subnet get addresses; else the range",
    )
    .option(
      "--ipalloc-init <MODE>",
      "who founds the cluster: consensus (more than half of this host and its PEERs), consensus=N (of N hosts), seed=NAME,... (those, the same list on all), observer (others)",
    )
    .option("--mtu <BYTES>", "MTU of containers; else what the underlay leaves")
    .option(
      "--conn-limit <N>",
      `connections to other hosts beyond which only those are made that hold the mesh together (else ${DEFAULT_CONN_LIMIT}; 0: ${MAX_ESTABLISHED})`,
    )
    .option("--no-discovery", "connect to the PEERs only, not to all hosts these know")
    .option("--resume", "dial the hosts of the last launch and of weave connect; no PEER may be named then")
    .addOption(
      new Option(
        "--http-addr <ADDR:PORT>",
        "serve the control API there, too; loopback only, for every user of this host",
      ).env("WEAVE_HTTP_ADDR"),
    )
    .addOption(
      new Option(
        "--status-addr <ADDR:PORT>",
        `serve /status, /report and /metrics there, read-only; empty: nowhere (else ${DEFAULT_STATUS_ADDR})`,
      ).env("WEAVE_STATUS_ADDR"),
    );
  return addPasswordOptions(command)
    .addOption(new Option("--log-level <LEVEL>", "how much to log").choices(LOG_LEVELS).default("info"))
    .addOption(runDirOption())
    .addOption(dataDirOption());
}

/** From commander's `opts()` and the PEER arguments. Throws bad-request and bad-address, naming the option. */
export function readLaunchOptions(options: unknown, peers: readonly string[]): LaunchOptions {
  const { ipallocRange, ipallocDefaultSubnet, ipallocInit, port, mtu, connLimit, resume, ...rest } =
    given.parse(options);
  if (resume === true && peers.length > 0)
    throw new WeaveError("bad-request", `--resume dials the stored hosts, and ${peers.join(" ")} was named`, {
      hint: "leave out one of the two; hosts given without --resume replace the stored ones",
    });
  checkListeners(rest.httpAddr, rest.statusAddr);
  if (rest.host !== undefined && parseAddress(rest.host) === undefined) {
    throw new WeaveError("bad-address", `--host ${rest.host} is not an IP address`, {
      hint: "give an address of this host",
    });
  }
  checkCidrs("--ipalloc-range", ipallocRange);
  checkCidrs("--ipalloc-default-subnet", ipallocDefaultSubnet);
  for (const peer of peers) checkTarget(peer);
  const { discovery: _, ...texts } = rest;
  const parsed = launchOptions.safeParse({
    ...rest,
    ...readDirectories(options),
    port: wholeNumber("--port", port),
    range: ipallocRange,
    defaultSubnet: ipallocDefaultSubnet,
    init: ipallocInit === undefined ? undefined : readInit(ipallocInit),
    mtu: wholeNumber("--mtu", mtu),
    connLimit: wholeNumber("--conn-limit", connLimit),
    peers: peers.length === 0 ? undefined : peers,
  });
  if (!parsed.success) throw refusal(parsed.error, { ...texts, port, mtu, connLimit, init: ipallocInit });
  return parsed.data;
}

/** The command line that `readLaunchOptions` reads back as the same options. */
export function toArguments(options: LaunchOptions): string[] {
  const { init, peers = [], ...plain } = options;
  const values: Partial<Record<keyof LaunchOptions, string | number | boolean | undefined>> = {
    ...plain,
    ...(init === undefined ? {} : { init: formatInit(init) }),
  };
  const words: string[] = [];
  for (const [field, option] of entries(OPTION_OF)) {
    // As one word: then no value can be taken for an option, whoever parses it.
    if (field === "discovery") words.push(...(values[field] === false ? [option] : []));
    else if (values[field] !== undefined) words.push(`${option}=${values[field]}`);
  }
  return [...words, "--", ...peers];
}

/**
 * For a message to the user: the words that launch with the same options again, without the default ones and PEERs. Of a
 * password only that there was one.
 */
export function relaunchWords(
  options: LaunchOptions,
  hasPassword: boolean,
): { readonly stop: string; readonly launch: string } {
  const { peers: _, init: __, ...plain } = options;
  const defaults = launchOptions.parse({});
  const words = entries(OPTION_OF)
    .filter(([field]) => field in plain && options[field] !== undefined && options[field] !== defaults[field])
    .map(([field, option]) => ({
      option,
      word: field === "discovery" ? option : `${option} ${options[field] || "''"}`,
    }));
  const stop = words.filter(({ option }) => option === OPTION_OF.runDir);
  return {
    stop: ["weave stop", ...stop.map(({ word }) => word)].join(" "),
    launch: [
      "weave launch",
      ...words.map(({ word }) => word),
      ...(hasPassword ? ["--password-file FILE"] : []),
    ].join(" "),
  };
}

function readInit(mode: string): NonNullable<LaunchOptions["init"]> {
  const [, kind, value] = /^([^=]*)(?:=(.*))?$/s.exec(mode) ?? [];
  if (kind === "observer" && value === undefined) return { kind };
  if (kind === "consensus" && value === undefined) return { kind };
  if (kind === "consensus") return { kind, expected: readExpected(value ?? "", mode) };
  if (kind === "seed" && value) {
    const names = value.split(",").map((name) => name.trim());
    const twice = names.find((name, i) => name !== "" && names.indexOf(name) !== i);
    if (twice === undefined) return { kind, names };
    throw new WeaveError("bad-request", `--ipalloc-init ${mode} names ${twice} twice`, {
      hint: "each founder has a name of its own: name each once, in the same list on all of them",
    });
  }
  throw new WeaveError("bad-request", `--ipalloc-init ${mode} is not understood`, {
    hint: "write consensus, consensus=N, seed=NAME,NAME,... or observer",
  });
}

function readExpected(text: string, mode: string): number {
  const expected = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (expected >= 1 && expected <= MAX_EXPECTED) return expected;
  throw new WeaveError(
    "bad-request",
    `--ipalloc-init ${mode}: expected is a whole number from 1 to ${MAX_EXPECTED}`,
    {
      hint: "the number of hosts that are launched at first, this one included and the same on all of them; later ones join",
    },
  );
}

function formatInit(init: NonNullable<LaunchOptions["init"]>): string {
  switch (init.kind) {
    case "consensus":
      return init.expected === undefined ? "consensus" : `consensus=${init.expected}`;
    case "seed":
      return `seed=${init.names.join(",")}`;
    case "observer":
      return "observer";
  }
}

function checkCidrs(option: string, value: string | undefined): void {
  const bad = value?.split(",").find((one) => !one.includes("/") || parseCidr(one) === undefined);
  if (bad === undefined) return;
  throw new WeaveError("bad-address", `${option} ${bad} is not a CIDR like ${DEFAULT_RANGE}`);
}

/** Who may come in is decided by where it listens: there is no password. */
function checkListeners(httpAddr: string | undefined, statusAddr: string | undefined): void {
  for (const [option, text] of [
    ["--http-addr", httpAddr],
    ["--status-addr", statusAddr],
  ] as const) {
    if (text === undefined || text === "" || parseListenAddress(text) !== undefined) continue;
    throw new WeaveError("bad-address", `${option} ${text} is not ADDRESS:PORT`, {
      hint: "for example 127.0.0.1:6784 or [::1]:6784",
    });
  }
  const control = httpAddr === undefined ? undefined : parseListenAddress(httpAddr);
  if (control === undefined || isLoopback(control.host)) return;
  const why =
    "whoever reaches the control API rules the network of this host, and nobody is asked for a password";
  throw new WeaveError("bad-address", `--http-addr ${httpAddr} is not a loopback address: ${why}`, {
    hint: "use 127.0.0.1:6784; what others may see is on --status-addr",
  });
}

function wholeNumber(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new WeaveError("bad-request", `${option} ${value} is not a whole number`);
}

/** The first thing the schema found wrong, in the words of the command line. */
function refusal(error: z.ZodError, values: Readonly<Record<string, string | undefined>>): WeaveError {
  const [issue] = error.issues;
  const field = entries(OPTION_OF).find(([name]) => name === issue?.path[0]);
  if (issue === undefined || field === undefined) throw error;
  const [name, option] = field;
  return new WeaveError("bad-request", `${option} ${values[name] ?? ""}: ${explain(issue)}`);
}

function explain(issue: z.core.$ZodIssue): string {
  const unit =
    issue.code === "too_small" || issue.code === "too_big"
      ? issue.origin === "string"
        ? " characters"
        : ""
      : "";
  if (issue.code === "too_small") return `must be at least ${issue.minimum}${unit}`;
  if (issue.code === "too_big") return `must be at most ${issue.maximum}${unit}`;
  return issue.code === "invalid_format" ? issue.message : issue.message.toLowerCase();
}

/** Object.entries with the key type kept; sound for a Record that is written out in full. */
function entries<K extends string, V>(record: Readonly<Record<K, V>>): [K, V][] {
  return Object.entries(record) as [K, V][];
}
