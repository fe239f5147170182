// The read-only listener (--status-addr), for people with curl, for probes and for Prometheus: nothing can be changed through
// it. Weave Net's paths; what they answer is text, or JSON where the caller accepts that.
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Report } from "../../api/report.ts";
import type { Status } from "../../api/status.ts";
import type { Logger } from "../../ports/logger.ts";
import { createFastify } from "./fastify.ts";
import { listen } from "./listen.ts";

/** What is shown. */
export interface ReadOnlyHandlers {
  status(): Status;
  report(): Promise<Report>;
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
  /** Whether this host can give out addresses: else /status answers 503, which probes understand. */
  isReady(): boolean;
  /** For people; without a section the summary. */
  render(status: Status, section?: string): string;
  /** Sections of the status that have a path of their own. */
  readonly sections: readonly string[];
}

/** Nobody needs to send anything here. */
const BODY_LIMIT = 1024;

/** Throws port-in-use and bad-address. */
export async function serveReadOnly(
  where: { readonly host: string; readonly port: number },
  handlers: ReadOnlyHandlers,
  log: Logger,
): Promise<{ close(): Promise<void> }> {
  const server = createFastify(BODY_LIMIT);
  const paths = ["/status", ...handlers.sections.map((name) => `/status/${name}`), "/report", "/metrics"];
  server.setNotFoundHandler((request, reply) => {
    const isThere = paths.includes(request.url);
    return reply
      .status(isThere ? 405 : 404)
      .type(TEXT)
      .send(isThere ? "nothing can be changed here: GET only\n" : `there is: ${paths.join(" ")}\n`);
  });
  server.setErrorHandler((error, _request, reply) => {
    log.error("the status listener failed", { error });
    return reply.status(500).type(TEXT).send("this failed; the log of weaver says why\n");
  });
  const answerStatus = (request: FastifyRequest, reply: FastifyReply, section?: string): FastifyReply => {
    const status = handlers.status();
    reply.status(handlers.isReady() ? 200 : 503);
    if (!wantsJson(request)) return reply.type(TEXT).send(`${handlers.render(status, section)}\n`);
    const part = Object.entries(status).filter(([name]) => name === section);
    const { ok, problems } = status;
    return reply.send(section === undefined ? status : { ok, problems, ...Object.fromEntries(part) });
  };
  server.get("/status", (request, reply) => answerStatus(request, reply));
  for (const section of handlers.sections)
    server.get(`/status/${section}`, (request, reply) => answerStatus(request, reply, section));
  server.get("/report", () => handlers.report());
  server.get("/metrics", async (_request, reply) => {
    const { type, text } = await handlers.metrics();
    return reply.type(type).send(text);
  });
  await listen(server, where, "--status-addr");
  return { close: () => server.close() };
}

const TEXT = "text/plain; charset=utf-8";

/** curl accepts anything, and is a person. */
const wantsJson = ({ headers }: FastifyRequest): boolean =>
  headers.accept?.includes("application/json") === true;
