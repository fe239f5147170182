// Docker's and podman's containers by name or id: Docker is asked over its socket, podman by its command, which needs no
// daemon. Only what attach and detach must know.
import { execFile } from "node:child_process";
import { request } from "node:http";
import { z } from "zod";
import { WeaveError } from "../../../src/core/errors.ts";

/** A container of an engine of this host. */
export interface Container {
  readonly engine: "Docker" | "podman";
  /** In full. */
  readonly id: string;
  /** Its first process; 0: it does not run. */
  readonly pid: number;
}

const inspected = z.object({
  Id: z.string().regex(/^[0-9a-f]{12,64}$/),
  State: z.object({ Pid: z.int().nonnegative() }),
});

const PATIENCE_MS = 5_000;
const MOST_BYTES = 1024 * 1024;

/** Throws unknown-attachment when no engine knows it, bad-request when both do. */
export async function containerNamed(name: string): Promise<Container> {
  const [docker, podman] = await Promise.all([fromDocker(name), fromPodman(name)]);
  if (typeof docker === "object" && typeof podman === "object")
    throw new WeaveError("bad-request", `Docker and podman both have a container ${name}`, {
      hint: `name it by its id: ${docker.id.slice(0, 12)} is Docker's, ${podman.id.slice(0, 12)} podman's`,
    });
  if (typeof docker === "object") return docker;
  if (typeof podman === "object") return podman;
  throw new WeaveError("unknown-attachment", `no container is called ${name}: ${docker}; ${podman}`, {
    hint: "a target is a namespace path (with a slash), a process id, or a Docker or podman container",
  });
}

/** Why not, in words, when there is none. */
async function fromDocker(name: string): Promise<Container | string> {
  const socketPath = dockerSocket();
  if (socketPath === undefined) return "DOCKER_HOST is not a unix socket";
  try {
    const { code, text } = await get(socketPath, `/containers/${encodeURIComponent(name)}/json`);
    if (code === 404) return "Docker knows none";
    const found = code === 200 ? inspected.safeParse(JSON.parse(text)).data : undefined;
    if (found === undefined) return `Docker answered HTTP ${code}`;
    return { engine: "Docker", id: found.Id, pid: found.State.Pid };
  } catch (error) {
    return `Docker does not answer on ${socketPath} (${reason(error)})`;
  }
}

function dockerSocket(): string | undefined {
  const host = process.env["DOCKER_HOST"] ?? "";
  if (host === "") return "/var/run/docker.sock";
  return host.startsWith("unix://") ? host.slice("unix://".length) : undefined;
}

function get(socketPath: string, path: string): Promise<{ code: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, timeout: PATIENCE_MS }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > MOST_BYTES) call.destroy(new Error("too long an answer"));
      });
      response.on("end", () => resolve({ code: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    call.on("timeout", () => call.destroy(new Error("no answer in 5 s")));
    call.on("error", reject);
    call.end();
  });
}

function fromPodman(name: string): Promise<Container | string> {
  const words = ["container", "inspect", "--", name];
  return new Promise((resolve) => {
    execFile("podman", words, { timeout: PATIENCE_MS, maxBuffer: MOST_BYTES }, (error, stdout) => {
      if (error !== null) {
        resolve(error.code === "ENOENT" ? "podman is not installed" : "podman knows none");
        return;
      }
      const found = z.array(inspected).safeParse(parse(stdout)).data?.[0];
      resolve(
        found === undefined
          ? "podman answered in an unknown form"
          : { engine: "podman", id: found.Id, pid: found.State.Pid },
      );
    });
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const reason = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
