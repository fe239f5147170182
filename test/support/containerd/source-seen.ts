// The HTTP server that images.ts puts into its box, asked from a namespace.
import type { TestNamespace } from "../../kernel/support/namespaces.ts";

const GET = new URL("../http-get.mjs", import.meta.url).pathname;

/** The source of the request, as the server in the container sees it. Rejects with the reason. */
export function sourceSeen(from: TestNamespace, address: string, port: number): Promise<string> {
  return from.run(`${process.execPath} ${GET} http://${address}:${port}/cgi-bin/source`);
}
