// The control API of weaver: HTTP over the unix socket weave.sock. Paths, request and answer schemas, shared by daemon
// and CLI. POST /v1/cni belongs to the plugin forwarder (cni-plugin/request.ts).
import { z } from "zod";
import { status } from "./status.ts";

/** host or host:port; IPv6 in brackets when it has a port. */
const peerAddress = z.string().min(1).max(255);

export const routes = {
  status: { method: "GET", path: "/v1/status", answer: status },
  connect: {
    method: "POST",
    path: "/v1/connect",
    request: z.strictObject({ peers: z.array(peerAddress).max(1024), replace: z.boolean() }),
    answer: z.object({ targets: z.array(z.string()) }),
  },
  expose: {
    method: "POST",
    path: "/v1/expose",
    request: z.strictObject({ addresses: z.array(z.string().max(64)).max(16), masquerade: z.boolean() }),
    answer: z.object({ addresses: z.array(z.string()) }),
  },
  stop: { method: "POST", path: "/v1/stop", answer: z.object({ pid: z.int() }) },
} as const;

/** Every answer that is not 2xx. */
export const apiError = z.object({ code: z.string(), message: z.string(), hint: z.string().optional() });
export type ApiError = z.infer<typeof apiError>;
