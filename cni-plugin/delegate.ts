// Another plugin's address management (`ipam.type`): called with our caller's variables and configuration, as the
// specification has it (1.1.0, section 4).
import { z } from "zod";
import { formatAddress, formatCidr, networkOf, parseAddress, parseCidr } from "../src/core/address/cidr.ts";
import { WeaveError } from "../src/core/errors.ts";
import type { Attachment, Delegate } from "../src/ports/attachments.ts";
import type { RouteSpec } from "../src/ports/kernel.ts";
import type { Call } from "./call.ts";
import type { Dns } from "./config.ts";
import { CniCode, CniError } from "./errors.ts";
import { DELEGATE_MARK } from "./request.ts";
import { atLeast } from "./versions.ts";

/** More than this is not kept for the day when the plugin has to be told of an end nobody else told it of. */
const MAX_KEPT_BYTES = 64 * 1024;

/** What an IPAM plugin answers, of any version. */
export interface Chosen {
  /** Canonical, with prefix. */
  readonly ips: readonly { readonly address: string; readonly gateway?: string }[];
  readonly routes: readonly RouteSpec[];
  readonly dns?: Dns;
}

/** The record of a delegation, for its end. */
export function delegateOf({ request }: Call, type: string): Delegate {
  const config = request.stdin.length > MAX_KEPT_BYTES ? withoutBallast(request.config) : request.stdin;
  return { type, path: request.cniPath, args: request.cniArgs, netns: request.netnsPath, config };
}

/** ADD. Code 4 without CNI_PATH; the plugin's own error object when it refuses. */
export async function delegatedAdd(call: Call, type: string): Promise<Chosen> {
  const stdout = await runVerb(call, type, call.signal);
  const chosen = parseChosen(type, stdout, call);
  if (chosen.ips.length > 0) return chosen;
  throw new CniError(CniCode.decodeFailure, `ipam plugin ${type} answered without an address`);
}

/** DEL, CHECK, GC, STATUS: the same verb as ours. */
export async function delegated(call: Call, type: string): Promise<void> {
  await runVerb(call, type, call.signal);
}

/** DEL as a rollback of ADD, or because a DEL came. A plugin that is no more has nothing to free. */
export async function delegatedDel(call: Call, type: string): Promise<void> {
  const { env, stdin, path } = ofRequest(call, "DEL");
  await tellOfEnd(call, { type, path, env, stdin });
}

/** DEL for an attachment whose runtime never sends one. */
export async function delegatedEnd(call: Pick<Call, "deps" | "warn">, attachment: Attachment): Promise<void> {
  const { delegate, containerId, ifname } = attachment;
  if (delegate === undefined) return;
  const env = {
    [DELEGATE_MARK]: "1",
    CNI_COMMAND: "DEL",
    CNI_CONTAINERID: containerId,
    CNI_IFNAME: ifname,
    CNI_NETNS: delegate.netns,
    CNI_ARGS: delegate.args,
  };
  await tellOfEnd(call, { type: delegate.type, path: delegate.path, env, stdin: delegate.config });
}

interface Ending {
  readonly type: string;
  readonly path: string;
  readonly env: Record<string, string>;
  readonly stdin: string;
}

async function tellOfEnd({ deps, warn }: Pick<Call, "deps" | "warn">, ending: Ending): Promise<void> {
  try {
    const { exit, stdout, stderr } = await deps.plugins.run(ending);
    if (exit !== 0) throw errorOf(ending.type, stdout, stderr);
  } catch (error) {
    if (!(error instanceof WeaveError) || error.code !== "feature-missing") throw error;
    warn(`${error.message}: it could not be told that its address is free`);
  }
}

async function runVerb(call: Call, type: string, signal: AbortSignal): Promise<string> {
  const { request, deps, warn } = call;
  if (request.cniPath === "") {
    const message = `required env variables [CNI_PATH] missing: ipam.type names the plugin ${type}`;
    throw new CniError(CniCode.badEnvironment, message);
  }
  const { env, stdin, path } = ofRequest(call, request.verb);
  const outcome = await deps.plugins.run({ type, path, env, stdin }, signal).catch((error: unknown) => {
    const missing = error instanceof WeaveError && error.code === "feature-missing";
    throw missing
      ? new CniError(CniCode.badConfig, `ipam.type: ${error.message}; ${error.hint ?? ""}`)
      : error;
  });
  for (const line of outcome.stderr.split("\n").filter(Boolean)) warn(`${type}: ${line}`);
  if (outcome.exit !== 0) throw errorOf(type, outcome.stdout, outcome.stderr);
  return outcome.stdout;
}

function ofRequest({ request }: Call, command: string): Omit<Ending, "type"> {
  const env: Record<string, string> = {
    [DELEGATE_MARK]: "1",
    CNI_COMMAND: command,
    CNI_CONTAINERID: request.containerId,
    CNI_NETNS: request.netnsPath,
    CNI_IFNAME: request.ifname,
    CNI_ARGS: request.cniArgs,
  };
  return { env, stdin: request.stdin, path: request.cniPath };
}

const errorSchema = z.looseObject({
  code: z.int().positive(),
  msg: z.string(),
  details: z.string().nullish(),
});

/** The plugin's own error object, its name put before its words. */
function errorOf(type: string, stdout: string, stderr: string): CniError {
  const parsed = errorSchema.safeParse(decode(stdout));
  if (!parsed.success) {
    const words = (stderr.trim() || stdout.trim() || "no reason given").slice(0, 500);
    return new CniError(CniCode.internal, `ipam plugin ${type} failed: ${words}`);
  }
  const { code, msg, details } = parsed.data;
  return new CniError(code, `ipam plugin ${type}: ${msg}`, details ?? undefined);
}

const routeSchema = z.looseObject({ dst: z.string(), gw: z.string().nullish() });
const familySchema = z.looseObject({
  ip: z.string(),
  gateway: z.string().nullish(),
  routes: z.array(routeSchema).nullish(),
});
const resultSchema = z.looseObject({
  ip4: familySchema.nullish(),
  ip6: familySchema.nullish(),
  ips: z.array(z.looseObject({ address: z.string(), gateway: z.string().nullish() })).nullish(),
  routes: z.array(routeSchema).nullish(),
  dns: z.record(z.string(), z.unknown()).nullish(),
});

function parseChosen(type: string, stdout: string, { request }: Call): Chosen {
  const broken = (why: string): CniError =>
    new CniError(CniCode.decodeFailure, `ipam plugin ${type} answered what cannot be used: ${why}`);
  const parsed = resultSchema.safeParse(decode(stdout));
  if (!parsed.success) throw broken(parsed.error.issues[0]?.message ?? "no result");
  const { ip4, ip6, ips, routes, dns } = parsed.data;
  const old = [ip4, ip6].flatMap((one) => one ?? []);
  const given = atLeast(request.version, "0.3.0")
    ? { ips: ips ?? [], routes: routes ?? [] }
    : {
        ips: old.map((one) => ({ ...one, address: one.ip })),
        routes: old.flatMap((one) => one.routes ?? []),
      };
  const cidr = (text: string): NonNullable<ReturnType<typeof parseCidr>> => {
    const found = text.includes("/") ? parseCidr(text) : undefined;
    if (found === undefined) throw broken(`"${text}" is not an address with prefix`);
    return found;
  };
  const gateway = (text: string): string => {
    const found = parseAddress(text);
    if (found === undefined) throw broken(`"${text}" is not an address`);
    return formatAddress(found.family, found.value);
  };
  const unique = new Map(
    given.ips.map((ip) => {
      const address = formatCidr(cidr(ip.address));
      return [address, { address, ...(ip.gateway ? { gateway: gateway(ip.gateway) } : {}) }];
    }),
  );
  return {
    ips: [...unique.values()],
    routes: given.routes.map(({ dst, gw }) => ({
      dst: formatCidr(networkOf(cidr(dst))),
      ...(gw ? { gw: gateway(gw) } : {}),
    })),
    ...(dns ? { dns } : {}),
  };
}

function decode(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A configuration without what only this one call was about. */
function withoutBallast(config: Readonly<Record<string, unknown>>): string {
  const { prevResult: _, runtimeConfig: __, args: ___, ...rest } = config;
  return JSON.stringify(rest);
}
