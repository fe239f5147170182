// What the forwarder sends: its schema, and the checks of environment and configuration in the order of the
// reference implementation (pkg/skel). The forwarder has made the same checks; they are made again because
// its input is outside data here.
import { z } from "zod";
import type { NetnsSource } from "../src/ports/kernel.ts";
import { CniCode, CniError } from "./errors.ts";
import { atLeast, CNI_VERSIONS, type CniVersion, isCniVersion } from "./versions.ts";

/**
 * Body of `POST /v1/cni`. `netnsFd` is a descriptor of process `pid`; `netnsError` is the errno name when it
 * could not be opened.
 */
const cniRequestSchema = z.object({
  program: z.enum(["weave-net", "weave-ipam"]),
  env: z.record(z.string(), z.string()),
  stdin: z.string(),
  pid: z.int().positive(),
  netnsFd: z.int().nonnegative().optional(),
  netnsError: z.string().max(32).optional(),
  /** CLOCK_BOOTTIME in ms when the executable started. */
  bootMs: z.number().nonnegative().optional(),
});

const objectSchema = z.record(z.string(), z.unknown());

/**
 * In the environment of every plugin we call. One that calls us back (a link to us under another name) would wait for its
 * own caller.
 */
export const DELEGATE_MARK = "CNI_WEAVE_DELEGATE";

/** VERSION is not here: the forwarder answers it alone. */
const VERBS = ["ADD", "DEL", "CHECK", "GC", "STATUS"] as const;
export type Verb = (typeof VERBS)[number];

export interface CniRequest {
  readonly program: "weave-net" | "weave-ipam";
  readonly verb: Verb;
  readonly version: CniVersion;
  readonly network: string;
  /** Empty for GC and STATUS, as is ifname. */
  readonly containerId: string;
  readonly ifname: string;
  /** CNI_NETNS byte for byte; empty when absent. */
  readonly netnsPath: string;
  readonly netns: NetnsSource | { readonly error: string };
  /** CNI_ARGS, not yet parsed: DEL must not fail on it. */
  readonly cniArgs: string;
  /** CNI_PATH; empty when absent. */
  readonly cniPath: string;
  /** When the executable started, CLOCK_BOOTTIME in ms. */
  readonly bootMs?: number;
  /** The configuration, only known to be an object with a good name and version. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The same, byte for byte. */
  readonly stdin: string;
  /** Of an operator (by-hand.ts), never of a runtime: exactly these addresses, in or outside the range. */
  readonly manual?: readonly string[];
}

/** The rule for container ids and network names. */
const IDENTIFIER = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** What the specification forbids in an interface name; the spaces are those of Unicode's White_Space. */
const IFNAME_FORBIDDEN = /[/:\s\u0085]/;
/** IFNAMSIZ of linux/if.h without the NUL. */
const MAX_IFNAME_BYTES = 15;

/**
 * Which version an error should carry: that of the configuration where one can be read and is ours, else the
 * newest.
 */
export function versionOf(body: unknown): CniVersion {
  try {
    return parseVersion(parseJson(cniRequestSchema.parse(body).stdin));
  } catch {
    return "1.1.0";
  }
}

/** Codes 4, 6, 7, 1, in this order; 5 when the body is not one of ours. */
export function parseRequest(body: unknown): CniRequest {
  const parsed = cniRequestSchema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const reason = `${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`;
    throw new CniError(
      CniCode.ioFailure,
      `the CNI executable and weaver do not understand each other (${reason}); run: weave setup`,
    );
  }
  const { program, env, stdin, pid, netnsFd, netnsError, bootMs } = parsed.data;
  const command = env["CNI_COMMAND"] ?? "";
  const containerId = env["CNI_CONTAINERID"] ?? "";
  const ifname = env["CNI_IFNAME"] ?? "";
  const netnsPath = env["CNI_NETNS"] ?? "";
  checkEnvironment(command, containerId, ifname, netnsPath);
  if (env[DELEGATE_MARK] !== undefined)
    throw new CniError(
      CniCode.badConfig,
      "ipam.type leads back to weave, which cannot be its own IPAM plugin",
    );

  const config = parseJson(stdin);
  const network = parseName(config);
  const verb = VERBS.find((name) => name === command);
  if (verb === undefined) throw new CniError(CniCode.badEnvironment, `unknown CNI_COMMAND: ${command}`);
  const version = parseVersion(config);
  const since: CniVersion =
    verb === "CHECK" ? "0.4.0" : verb === "GC" || verb === "STATUS" ? "1.1.0" : "0.1.0";
  if (!atLeast(version, since)) {
    const message = `config version ${version} does not allow ${verb}, which came with ${since}`;
    throw new CniError(CniCode.incompatibleVersion, message);
  }

  const netns =
    netnsError !== undefined
      ? { error: netnsError }
      : netnsFd === undefined
        ? { path: netnsPath }
        : { pid, fd: netnsFd };
  return {
    program,
    verb,
    version,
    network,
    containerId,
    ifname,
    netnsPath,
    netns,
    cniArgs: env["CNI_ARGS"] ?? "",
    cniPath: env["CNI_PATH"] ?? "",
    ...(bootMs === undefined ? {} : { bootMs }),
    config,
    stdin,
  };
}

function checkEnvironment(command: string, containerId: string, ifname: string, netnsPath: string): void {
  if (containerId !== "" && !IDENTIFIER.test(containerId)) {
    throw new CniError(
      CniCode.badEnvironment,
      `invalid characters in CNI_CONTAINERID: it must match ${IDENTIFIER.source}`,
      containerId,
    );
  }
  if (
    Buffer.byteLength(ifname) > MAX_IFNAME_BYTES ||
    ifname === "." ||
    ifname === ".." ||
    IFNAME_FORBIDDEN.test(ifname)
  ) {
    throw new CniError(CniCode.badEnvironment, "CNI_IFNAME cannot name an interface", ifname);
  }
  const attachment = command === "ADD" || command === "DEL" || command === "CHECK";
  const missing = [
    ...(attachment && containerId === "" ? ["CNI_CONTAINERID"] : []),
    ...(attachment && command !== "DEL" && netnsPath === "" ? ["CNI_NETNS"] : []),
    ...(attachment && ifname === "" ? ["CNI_IFNAME"] : []),
  ];
  if (missing.length > 0) {
    const message = `required env variables [${missing.join(",")}] missing for CNI_COMMAND=${command}`;
    throw new CniError(CniCode.badEnvironment, message);
  }
}

function parseJson(stdin: string): Readonly<Record<string, unknown>> {
  let config: unknown;
  try {
    config = JSON.parse(stdin);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CniError(CniCode.decodeFailure, `cannot decode the network configuration on stdin: ${reason}`);
  }
  const object = objectSchema.safeParse(config);
  if (!object.success) {
    throw new CniError(
      CniCode.decodeFailure,
      "cannot decode the network configuration on stdin: it is not an object",
    );
  }
  return object.data;
}

function parseName(config: Readonly<Record<string, unknown>>): string {
  const name = config["name"] ?? "";
  if (typeof name !== "string") {
    throw new CniError(
      CniCode.decodeFailure,
      "cannot decode the network configuration on stdin: name is not a string",
    );
  }
  if (name === "")
    throw new CniError(CniCode.badConfig, 'missing network name: the network configuration needs a "name"');
  if (!IDENTIFIER.test(name)) {
    const message = `invalid characters found in network name: it must match ${IDENTIFIER.source}`;
    throw new CniError(CniCode.badConfig, message, name);
  }
  return name;
}

/** Absent means 0.1.0: the field came with 0.2.0. */
function parseVersion(config: Readonly<Record<string, unknown>>): CniVersion {
  const version = config["cniVersion"] ?? "";
  if (typeof version !== "string") {
    throw new CniError(
      CniCode.decodeFailure,
      "cannot decode the network configuration on stdin: cniVersion is not a string",
    );
  }
  if (version === "") return "0.1.0";
  if (isCniVersion(version)) return version;
  const supported = CNI_VERSIONS.map((known) => `"${known}"`).join(" ");
  const details = `config is ${JSON.stringify(version)}, plugin supports [${supported}]`;
  throw new CniError(CniCode.incompatibleVersion, "incompatible CNI versions", details);
}
