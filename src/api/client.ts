// Client of the control API: one request per call over the unix socket.
import { request as httpRequest } from "node:http";
import type { z } from "zod";
import { isErrorCode, WeaveError } from "../core/errors.ts";
import {
  type AttachRequest,
  apiError,
  type Departure,
  type DetachRequest,
  type Holders,
  type Links,
  type Removal,
  routes,
  type Wish,
} from "./control.ts";
import type { Report } from "./report.ts";
import type { Status } from "./status.ts";

/** The control API of one daemon; each call may throw (createClient says what). */
export interface Client {
  status(): Promise<Status>;
  connect(peers: readonly string[], replace: boolean): Promise<{ targets: string[] }>;
  expose(wish: Wish, masquerade: boolean): Promise<{ addresses: string[] }>;
  hide(wish: Wish): Promise<{ addresses: string[] }>;
  ps(): Promise<Holders>;
  attach(request: AttachRequest): Promise<Links>;
  detach(request: DetachRequest): Promise<Links>;
  report(): Promise<Report>;
  rmpeer(peers: readonly string[], force: boolean, confirm: readonly string[]): Promise<Removal>;
  reset(force: boolean): Promise<Departure>;
  join(cluster: string, force: boolean): Promise<{ cluster: string }>;
  stop(): Promise<{ pid: number }>;
}

/**
 * Errors are WeaveError: not-running when nobody answers on the socket, timeout, internal when the answer is in a form
 * this weave does not know, or the daemon's own code.
 */
export function createClient(socketPath: string, options: { readonly timeoutMs?: number } = {}): Client {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const call = async <T>(
    route: { method: string; path: string; answer: z.ZodType<T> },
    body?: unknown,
  ): Promise<T> => {
    const { statusCode, text } = await exchange(socketPath, route, body, timeoutMs);
    const value = parseJson(text);
    if (statusCode >= 200 && statusCode < 300) {
      const parsed = route.answer.safeParse(value);
      if (parsed.success) return parsed.data;
      throw new WeaveError("internal", `weaver answered ${route.path} in a form this weave does not know`, {
        hint: "weave and weaver are of different versions; run: weave stop && weave launch",
        cause: parsed.error,
      });
    }
    const failure = apiError.safeParse(value).data ?? {
      code: "internal",
      message: `weaver answered HTTP ${statusCode}: ${text.slice(0, 200)}`,
    };
    throw new WeaveError(isErrorCode(failure.code) ? failure.code : "internal", failure.message, {
      hint: failure.hint,
    });
  };
  return {
    status: () => call(routes.status),
    connect: (peers, replace) => call(routes.connect, { peers, replace }),
    expose: (wish, masquerade) => call(routes.expose, { ...wish, masquerade }),
    hide: (wish) => call(routes.hide, wish),
    ps: () => call(routes.ps),
    attach: (request) => call(routes.attach, request),
    detach: (request) => call(routes.detach, request),
    report: () => call(routes.report),
    rmpeer: (peers, force, confirm) => call(routes.rmpeer, { peers, force, confirm }),
    reset: (force) => call(routes.reset, { force }),
    join: (cluster, force) => call(routes.join, { cluster, force }),
    stop: () => call(routes.stop, {}),
  };
}

function exchange(
  socketPath: string,
  { method, path }: { method: string; path: string },
  body: unknown,
  timeoutMs: number,
): Promise<{ statusCode: number; text: string }> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers =
      payload === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) };
    const call = httpRequest({ socketPath, method, path, headers, timeout: timeoutMs }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ statusCode: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    call.on("timeout", () =>
      call.destroy(new WeaveError("timeout", `weaver did not answer ${path} within ${timeoutMs / 1000} s`)),
    );
    call.on("error", (error: NodeJS.ErrnoException) => {
      reject(error instanceof WeaveError ? error : connectFailure(socketPath, error));
    });
    call.end(payload);
  });
}

function connectFailure(socketPath: string, error: NodeJS.ErrnoException): WeaveError {
  if (error.code === "EACCES" || error.code === "EPERM") {
    return new WeaveError("not-running", `no permission to use ${socketPath}`, {
      hint: "run this as root",
      cause: error,
    });
  }
  return new WeaveError(
    "not-running",
    `weaver is not answering on ${socketPath} (${error.code ?? error.message})`,
    {
      hint: "start it with: weave launch",
      cause: error,
    },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
