// What crosses an interface, byte for byte: to show what can be read on the wire, and what cannot.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";

export interface WireBytes {
  /** Ends the capture; all packets of it in one piece (pcap), as Latin-1 text. */
  stop(): Promise<string>;
}

/** Without immediate mode what came in the last second is lost at the end. tcpdump writes to `file`; resolves when it listens. */
export async function captureBytes(
  namespace: TestNamespace,
  device: string,
  filter: string,
  file: string,
): Promise<WireBytes> {
  const words = ["tcpdump", "-i", device, "--immediate-mode", "-U", "-w", file, ...filter.split(" ")];
  const child = spawn("nsenter", [`--net=${namespace.path}`, ...words], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  await eventually(`tcpdump listens on ${device}: ${stderr}`, () => stderr.includes("listening on"));
  return {
    async stop() {
      const ended = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGINT");
      await ended;
      return readFileSync(file, "latin1");
    },
  };
}
