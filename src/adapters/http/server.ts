// The control API on its unix socket: fastify, schemas of src/api, errors mapped to HTTP once. The socket is the
// permission: its directory is 0700 and the umask is set before bind, so only root can talk here.
import { chmod, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import {
  type ApiError,
  type AttachRequest,
  type Departure,
  type DetachRequest,
  type Holders,
  type Links,
  type Removal,
  routes,
  type Wish,
} from "../../api/control.ts";
import type { Report } from "../../api/report.ts";
import type { Status } from "../../api/status.ts";
import { type ErrorCode, WeaveError } from "../../core/errors.ts";
import type { Logger } from "../../ports/logger.ts";
import { createFastify } from "./fastify.ts";

/** What the daemon does for each route. */
export interface ControlHandlers {
  status(): Status;
  connect(peers: readonly string[], replace: boolean): Promise<{ targets: string[] }>;
  forget(peers: readonly string[]): Promise<{ forgotten: string[]; targets: string[] }>;
  expose(wish: Wish, masquerade: boolean, signal: AbortSignal): Promise<{ addresses: string[] }>;
  hide(wish: Wish): Promise<{ addresses: string[] }>;
  ps(): Holders;
  attach(request: AttachRequest, signal: AbortSignal): Promise<Links>;
  detach(request: DetachRequest, signal: AbortSignal): Promise<Links>;
  report(): Promise<Report>;
  /** What is under way when its caller goes away may come true all the same; so for reset and join. */
  rmpeer(peers: readonly string[], force: boolean, confirm: readonly string[]): Promise<Removal>;
  /** Answers when the ranges are handed over; the daemon removes everything and ends afterwards. */
  reset(force: boolean): Promise<Departure>;
  join(cluster: string, force: boolean): Promise<{ cluster: string }>;
  /** Answers first; the daemon ends afterwards. */
  stop(): { pid: number };
  /** One call of the CNI plugin; `signal` fires when its caller is gone. */
  cni(body: unknown, signal: AbortSignal): Promise<PluginAnswer>;
}

/** What the plugin's process is to print and to exit with; what it writes to stderr is for people. */
export interface PluginAnswer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr?: string;
}

/** Stdin of the plugin is at most 8 MiB; escaped as JSON it can double. */
const BODY_LIMIT = 20 * 1024 * 1024;
/** The plugin's forwarder waits 10 s for the next sign of life. */
const PROGRESS_INTERVAL_MS = 2_000;

/** Listens on `socketPath`, replacing a socket that a dead daemon left: call it only while holding the store's lock. */
export async function serveControl(
  socketPath: string,
  handlers: ControlHandlers,
  log: Logger,
): Promise<{ close(): Promise<void> }> {
  const server = createServer(handlers, log);
  const dir = dirname(socketPath);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await chmod(dir, 0o700);
  await rm(socketPath, { force: true });
  const umask = process.umask(0o177);
  try {
    await server.listen({ path: socketPath });
  } finally {
    process.umask(umask);
  }
  return {
    async close() {
      await server.close();
      await rm(socketPath, { force: true });
    },
  };
}

/** The API, listening nowhere yet. */
export function createServer(handlers: ControlHandlers, log: Logger): FastifyInstance {
  const server = createFastify(BODY_LIMIT);
  server.setErrorHandler((error, _request, reply) => answerError(error, reply, log));
  server.setNotFoundHandler((request, reply) =>
    answerError(new WeaveError("bad-request", `no such path: ${request.method} ${request.url}`), reply, log),
  );
  addRoutes(server, handlers);
  return server;
}

function addRoutes(server: FastifyInstance, handlers: ControlHandlers): void {
  server.get(routes.status.path, () => handlers.status());
  server.post(routes.connect.path, ({ body }) => {
    const { peers, replace } = parse(routes.connect.request, body);
    return handlers.connect(peers, replace);
  });
  server.post(routes.forget.path, ({ body }) => handlers.forget(parse(routes.forget.request, body).peers));
  server.post(routes.expose.path, (request, reply) => {
    const { masquerade, ...wish } = parse(routes.expose.request, request.body);
    return handlers.expose(wish, masquerade, gone(reply));
  });
  server.post(routes.hide.path, ({ body }) => handlers.hide(parse(routes.hide.request, body)));
  server.get(routes.ps.path, () => handlers.ps());
  server.post(routes.attach.path, (request, reply) =>
    handlers.attach(parse(routes.attach.request, request.body), gone(reply)),
  );
  server.post(routes.detach.path, (request, reply) =>
    handlers.detach(parse(routes.detach.request, request.body), gone(reply)),
  );
  server.get(routes.report.path, () => handlers.report());
  server.post(routes.rmpeer.path, ({ body }) => {
    const { peers, force, confirm } = parse(routes.rmpeer.request, body);
    return handlers.rmpeer(peers, force, confirm);
  });
  server.post(routes.reset.path, ({ body }) => handlers.reset(parse(routes.reset.request, body).force));
  server.post(routes.join.path, ({ body }) => {
    const { cluster, force } = parse(routes.join.request, body);
    return handlers.join(cluster, force);
  });
  server.post(routes.stop.path, () => handlers.stop());
  server.post("/v1/cni", (request, reply) => relayCni(request, reply, handlers));
}

async function relayCni(
  request: FastifyRequest,
  reply: FastifyReply,
  handlers: ControlHandlers,
): Promise<FastifyReply> {
  const progress = setInterval(() => reply.raw.writeProcessing(), PROGRESS_INTERVAL_MS);
  try {
    const { exit, stdout, stderr = "" } = await handlers.cni(request.body, gone(reply));
    reply.header("weave-exit", String(exit)).type("application/octet-stream");
    // One body for both: the forwarder (cni-plugin/forwarder/relay.h) takes this many bytes of it for stderr.
    if (stderr !== "") reply.header("weave-warnings", String(Buffer.byteLength(stderr)));
    return await reply.send(stderr + stdout);
  } finally {
    clearInterval(progress);
  }
}

/** Fires when the caller closes its connection before it has its answer. */
function gone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.on("close", () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new WeaveError(
    "bad-request",
    `request does not parse: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`,
  );
}

const HTTP_STATUS: Partial<Record<ErrorCode, number>> = {
  "bad-request": 400,
  "bad-address": 400,
  "mtu-invalid": 400,
  "unknown-attachment": 404,
  "address-taken": 409,
  "address-elsewhere": 409,
  "ifname-exists": 409,
  "netns-missing": 404,
  "netns-invalid": 400,
  "netns-host": 400,
  "ambiguous-peer": 409,
  "in-use": 409,
  "unknown-peer": 404,
  "unknown-cluster": 404,
  "no-quorum": 503,
  "no-heir": 503,
  "no-ring": 503,
  "range-exhausted": 503,
  timeout: 504,
};

function answerError(error: unknown, reply: FastifyReply, log: Logger): FastifyReply {
  if (error instanceof WeaveError) {
    const answer: ApiError = {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    };
    return reply.status(HTTP_STATUS[error.code] ?? 500).send(answer);
  }
  // What fastify itself refuses (not JSON, too large) carries a status below 500.
  const refused = z.object({ statusCode: z.int().min(400).max(499), message: z.string() }).safeParse(error);
  if (refused.success)
    return reply.status(refused.data.statusCode).send({ code: "bad-request", message: refused.data.message });
  log.error("control API failed on a bug", { error });
  return reply
    .status(500)
    .send({ code: "internal", message: error instanceof Error ? error.message : String(error) });
}
