// How the daemon's HTTP servers are made: fastify without its own schemas. Requests are checked by zod (server.ts), answers
// are plain JSON, so the two compilers of JSON schemas are never asked for; naming them here keeps them, a third of a
// megabyte of text, from being loaded. scripts/build.mjs leaves them out of the program.
import Fastify, { type FastifyInstance } from "fastify";

/** A server that listens nowhere yet and takes bodies of at most `bodyLimit` bytes. */
export function createFastify(bodyLimit: number): FastifyInstance {
  return Fastify({
    bodyLimit,
    forceCloseConnections: true,
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  });
}

function noSchemas(): never {
  throw new Error("routes of weave have no schemas of fastify's");
}
