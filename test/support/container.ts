// A container as its runtime sees it: a namespace, an id, and the installed CNI plugin called with the installed
// configuration, the specification's variables and nothing else.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hostIfname } from "../../cni-plugin/host-ifname.ts";
import { eventually, isObject, type JsonObject, TestNamespace } from "../kernel/support/namespaces.ts";
import type { Host } from "./host.ts";

export interface PluginCall {
  readonly command: string;
  /** CNI_* variables; undefined: left out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Keys laid over those of 10-weave.conf; undefined: left out. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Instead of a configuration. */
  readonly stdin?: string;
}

export interface PluginAnswer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as JSON; an empty object when there is none. */
  readonly json: JsonObject;
}

/** A call under way. */
export interface RunningPlugin {
  /** SIGKILL to the plugin's own process, if it still runs. */
  kill(): void;
  readonly answer: Promise<PluginAnswer>;
}

/** What the installed 10-weave.conf says. */
export function installedConfig(host: Host): JsonObject {
  const parsed: unknown = JSON.parse(readFileSync(join(host.cniConfDir, "10-weave.conf"), "utf8"));
  if (!isObject(parsed)) throw new Error("10-weave.conf is no object");
  return parsed;
}

/** Start the plugin that the configuration's `type` names, in the host's namespace, working directory /. */
function startPlugin(host: Host, call: PluginCall): RunningPlugin {
  const config = { ...installedConfig(host), ...call.config };
  const env = {
    CNI_COMMAND: call.command,
    CNI_PATH: host.cniBinDir,
    PATH: "/usr/bin:/bin",
    ...call.env,
  };
  const argv = [`--net=${host.namespace.path}`, join(host.cniBinDir, String(config["type"]))];
  const child = spawn("nsenter", argv, { cwd: "/", env, stdio: ["pipe", "pipe", "pipe"] });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on("error", () => {}); // VERSION does not read it
  child.stdin.end(call.stdin ?? JSON.stringify(config));
  const answer = new Promise<PluginAnswer>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      const text = Buffer.concat(stdout).toString("utf8");
      resolve({
        exit: code ?? -1,
        stdout: text,
        stderr: Buffer.concat(stderr).toString("utf8"),
        json: parse(text),
      });
    });
  });
  return { kill: () => void child.kill("SIGKILL"), answer };
}

export function callPlugin(host: Host, call: PluginCall): Promise<PluginAnswer> {
  return startPlugin(host, call).answer;
}

function parse(text: string): JsonObject {
  if (text.trim() === "") return {};
  const parsed: unknown = JSON.parse(text);
  return isObject(parsed) ? parsed : {};
}

export class Container {
  readonly host: Host;
  readonly namespace: TestNamespace;
  readonly id = randomBytes(16).toString("hex");
  #address: string | undefined;

  constructor(host: Host, label: string) {
    this.host = host;
    this.namespace = new TestNamespace(label);
  }

  /** What a runtime sets for this container. */
  env(ifname = "eth0"): Record<string, string> {
    return { CNI_CONTAINERID: this.id, CNI_NETNS: this.namespace.path, CNI_IFNAME: ifname };
  }

  start(command: string, call: Partial<PluginCall> = {}): RunningPlugin {
    return startPlugin(this.host, { command, ...call, env: { ...this.env(), ...call.env } });
  }

  call(command: string, call: Partial<PluginCall> = {}): Promise<PluginAnswer> {
    return this.start(command, call).answer;
  }

  /** ADD that must succeed. */
  async add(call: Partial<PluginCall> = {}): Promise<PluginAnswer> {
    const answer = await this.call("ADD", call);
    if (answer.exit !== 0) {
      throw new Error(`ADD on ${this.host.nickname}: ${answer.stdout}${answer.stderr}${this.host.logTail()}`);
    }
    this.#address = addressesOf(answer.json)[0];
    return answer;
  }

  /** DEL that must succeed, silently. */
  async del(): Promise<void> {
    const answer = await this.call("DEL");
    if (answer.exit !== 0 || answer.stdout !== "") {
      throw new Error(`DEL on ${this.host.nickname}: exit ${answer.exit} ${answer.stdout}${answer.stderr}`);
    }
    this.#address = undefined;
  }

  /** Without prefix, as ADD answered. */
  get address(): string {
    if (this.#address === undefined) throw new Error("this container was not added");
    return this.#address;
  }

  get hostIfname(): string {
    return hostIfname({ network: "weave", containerId: this.id, ifname: "eth0" });
  }

  async mac(): Promise<string> {
    const [link] = await this.namespace.json("ip -j link show eth0");
    return String(link?.["address"]);
  }

  pings(address: string): Promise<boolean> {
    return this.namespace.succeeds(`ping -n -c 1 -W 1 ${address}`);
  }

  /** For what gossip has to tell first. */
  async reaches(address: string, timeoutMs = 10_000): Promise<void> {
    await eventually(
      `${this.namespace.name} on ${this.host.nickname} pings ${address}`,
      () => this.pings(address),
      timeoutMs,
    );
  }
}

/** Addresses of a result of any version, without prefix. */
function addressesOf(result: JsonObject): string[] {
  const ips = Array.isArray(result["ips"]) ? result["ips"].filter(isObject).map((ip) => ip["address"]) : [];
  const families = [result["ip4"], result["ip6"]].filter(isObject).map((one) => one["ip"]);
  return [...ips, ...families].map((text) => String(text).split("/")[0] ?? "");
}
