// What the library keeps of every attachment: its result, its configuration and its arguments, one file each in
// DIR/results, named after network, container and interface.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { JsonObject } from "../../kernel/support/namespaces.ts";
import { type Network, parseNetwork } from "./config.ts";
import { convertResult } from "./convert.ts";
import type { Attachment } from "./exec.ts";
import { goJson } from "./json.ts";

const entrySchema = z.object({
  kind: z.literal("cniCacheV1"),
  containerId: z.string(),
  /** The list, in base64. */
  config: z.string(),
  ifName: z.string(),
  networkName: z.string(),
  netns: z.string().default(""),
  cniArgs: z.array(z.tuple([z.string(), z.string()])).default([]),
  capabilityArgs: z.record(z.string(), z.unknown()).default({}),
  result: z.record(z.string(), z.unknown()),
});

type Key = Pick<Attachment, "containerId" | "ifname">;

export class ResultCache {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = join(dir, "results");
  }

  path(network: string, { containerId, ifname }: Key): string {
    return join(this.dir, `${network}-${containerId}-${ifname}`);
  }

  write(network: Network, attachment: Attachment, result: JsonObject): void {
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    const entry: z.input<typeof entrySchema> = {
      kind: "cniCacheV1",
      containerId: attachment.containerId,
      config: Buffer.from(network.bytes).toString("base64"),
      ifName: attachment.ifname,
      networkName: network.name,
      netns: attachment.netns,
      cniArgs: (attachment.args ?? []).map(([key, value]) => [key, value]),
      capabilityArgs: { ...attachment.capabilityArgs },
      result,
    };
    writeFileSync(this.path(network.name, attachment), goJson(entry), { mode: 0o600 });
  }

  remove(network: string, key: Key): void {
    rmSync(this.path(network, key), { force: true });
  }

  /** The cached result in the network's version; undefined when there is none. Throws when it cannot be read. */
  result(network: Network, key: Key): JsonObject | undefined {
    const entry = this.#read(this.path(network.name, key));
    return entry === undefined ? undefined : convertResult(entry.result, network.cniVersion);
  }

  /** The network and the attachment as they were at ADD: what CRI-O and podman tear down with. */
  lookup(network: string, key: Key): { network: Network; attachment: Attachment } | undefined {
    const entry = this.#read(this.path(network, key));
    if (entry === undefined) return undefined;
    const config = Buffer.from(entry.config, "base64").toString("utf8");
    return { network: parseNetwork(config), attachment: attachmentOf(entry) };
  }

  /** Of one network; files that cannot be read are passed over. */
  attachments(network: string): Attachment[] {
    return this.#names().flatMap((name) => {
      try {
        const entry = this.#read(join(this.dir, name));
        return entry?.networkName === network ? [attachmentOf(entry)] : [];
      } catch {
        return [];
      }
    });
  }

  #names(): string[] {
    try {
      return readdirSync(this.dir).sort();
    } catch {
      return []; // nothing was ever added
    }
  }

  #read(path: string): z.infer<typeof entrySchema> | undefined {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
    return entrySchema.parse(JSON.parse(text));
  }
}

function attachmentOf(entry: z.infer<typeof entrySchema>): Attachment {
  return {
    containerId: entry.containerId,
    netns: entry.netns,
    ifname: entry.ifName,
    args: entry.cniArgs,
    capabilityArgs: entry.capabilityArgs,
  };
}
