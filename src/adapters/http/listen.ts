// A TCP listener, with its failures in words.
import type { FastifyInstance } from "fastify";
import { WeaveError } from "../../core/errors.ts";

/** `option` is what an operator changes. Throws port-in-use and bad-address; nothing is left listening. */
export async function listen(
  server: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
  option: string,
): Promise<void> {
  try {
    await server.listen({ host, port });
  } catch (error) {
    await server.close();
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    if (code === "EADDRINUSE")
      throw new WeaveError("port-in-use", `another process listens on ${where}`, {
        hint: `end it (see: ss -ltnp sport = :${port}), or choose another address with ${option}`,
        cause: error,
      });
    if (code === "EADDRNOTAVAIL")
      throw new WeaveError("bad-address", `${where}: this host does not have this address`, {
        hint: `give an address of this host with ${option}`,
        cause: error,
      });
    throw error;
  }
}
