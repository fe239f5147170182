// Client of the container runtime interface: the calls kubelet makes, over gRPC on the runtime's socket. What comes
// back is checked, as everything from outside is. Ways of kubelet's are in pod.ts.
import { Client, credentials } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { z } from "zod";
import { eventually } from "../../kernel/support/namespaces.ts";

const PROTO = new URL("cri.proto", import.meta.url).pathname;
/** kubelet gives RunPodSandbox four minutes; here nothing takes that long. */
const DEADLINE_MS = 40_000;

const condition = z.object({
  type: z.string(),
  status: z.boolean(),
  reason: z.string(),
  message: z.string(),
});
export type Condition = z.infer<typeof condition>;

const answers = {
  Version: z.object({ runtime_name: z.string(), runtime_version: z.string() }),
  Status: z.object({
    status: z.object({ conditions: z.array(condition) }),
    info: z.record(z.string(), z.string()),
  }),
  RunPodSandbox: z.object({ pod_sandbox_id: z.string().min(1) }),
  StopPodSandbox: z.object({}),
  RemovePodSandbox: z.object({}),
  PodSandboxStatus: z.object({
    status: z.object({
      id: z.string(),
      state: z.enum(["SANDBOX_READY", "SANDBOX_NOTREADY"]),
      network: z.object({ ip: z.string(), additional_ips: z.array(z.object({ ip: z.string() })) }).nullable(),
    }),
    info: z.record(z.string(), z.string()),
  }),
  ListPodSandbox: z.object({ items: z.array(z.object({ id: z.string(), state: z.string() })) }),
  CreateContainer: z.object({ container_id: z.string().min(1) }),
  StartContainer: z.object({}),
  ExecSync: z.object({ stdout: z.instanceof(Buffer), stderr: z.instanceof(Buffer), exit_code: z.number() }),
  ImageStatus: z.object({ image: z.object({ id: z.string() }).nullable() }),
};
type Answers = typeof answers;
type Method = keyof Answers;

export class Cri {
  readonly #client: Client;
  readonly #methods = methods();

  constructor(socket: string) {
    this.#client = new Client(`unix://${socket}`, credentials.createInsecure());
  }

  /** One call. Rejects with the runtime's words. */
  call<M extends Method>(method: M, request: object = {}): Promise<z.infer<Answers[M]>> {
    const definition = this.#methods.get(method);
    if (definition === undefined) throw new Error(`cri.proto has no ${method}`);
    const { path, requestSerialize, responseDeserialize } = definition;
    const options = { deadline: Date.now() + DEADLINE_MS };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        options,
        (error, answer) => {
          if (error !== null) return reject(new Error(`${method}: ${error.details || error.message}`));
          const parsed = answers[method].safeParse(answer);
          if (!parsed.success)
            return reject(new Error(`${method} answered otherwise: ${parsed.error.message}`));
          // The schema of this very method has just parsed it; the compiler does not join the two look-ups.
          resolve(parsed.data as z.infer<Answers[M]>);
        },
      );
    });
  }

  /** What kubelet makes the node's NetworkReady from. */
  async network(): Promise<Condition> {
    const { status } = await this.call("Status");
    const found = status.conditions.find(({ type }) => type === "NetworkReady");
    if (found === undefined) throw new Error("the runtime says nothing about the network");
    return found;
  }

  /** Wait until NetworkReady is so. */
  async untilNetwork(ready: boolean, timeoutMs = 5_000): Promise<Condition> {
    let last: Condition | undefined;
    return eventually(
      `NetworkReady is ${ready}`,
      async () => {
        last = await this.network();
        return last.status === ready ? last : undefined;
      },
      timeoutMs,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(last)}`);
    });
  }

  /** The network configuration the runtime has loaded, as JSON of its own making. */
  async loadedNetwork(): Promise<string> {
    return (await this.call("Status", { verbose: true })).info["cniconfig"] ?? "";
  }

  close(): void {
    this.#client.close();
  }
}

interface MethodDefinition {
  readonly path: string;
  readonly requestSerialize: (value: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

function methods(): Map<string, MethodDefinition> {
  const loaded = loadSync(PROTO, { keepCase: true, longs: Number, enums: String, defaults: true });
  const found = new Map<string, MethodDefinition>();
  for (const service of ["RuntimeService", "ImageService"]) {
    const definition = loaded[`runtime.v1.${service}`];
    if (definition === undefined || "format" in definition) throw new Error(`cri.proto has no ${service}`);
    // The check above leaves a service; TypeScript does not narrow an index signature by `in`.
    for (const [name, method] of Object.entries(definition as Record<string, MethodDefinition>)) {
      found.set(name, method);
    }
  }
  return found;
}
