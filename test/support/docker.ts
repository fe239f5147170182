// Docker's daemon on a host of a test, with everything it keeps below one directory: for what it does to the host's
// firewall, and for its containers. Debian's package, from the machine or fetched once into the tests' cache.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import { debianPackages } from "./debian.ts";

const START_MS = 30_000;

/** A running dockerd. */
export interface Docker {
  /** DOCKER_HOST of whoever asks it. */
  readonly host: string;
  /** `docker WORDS`; stdout. */
  run(...words: string[]): string;
  /** Its containers should have ended. */
  stop(): Promise<void>;
}

/** Directory of dockerd, or why there is none. */
export function dockerPrograms(): { readonly dir: string } | { readonly lacking: string } {
  if (existsSync("/usr/sbin/dockerd")) return { dir: "/usr/sbin" };
  const found = debianPackages("docker.io", ["docker.io"]);
  if ("lacking" in found) return { lacking: `no Docker: ${found.lacking}` };
  return { dir: join(found.root, "usr/sbin") };
}

/** Resolves when it has set up its network: the chains in the firewall, and docker0. */
export async function startDocker(ns: TestNamespace, programs: string, dir: string): Promise<Docker> {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "daemon.json"), "{}");
  const socket = join(dir, "docker.sock");
  const log = openSync(join(dir, "log"), "w");
  const flags = [
    ...["--data-root", join(dir, "data"), "--exec-root", join(dir, "exec"), "--pidfile", join(dir, "pid")],
    ...["--config-file", join(dir, "daemon.json"), "--host", `unix://${socket}`, "--storage-driver", "vfs"],
  ];
  const child: ChildProcess = spawn("nsenter", [`--net=${ns.path}`, join(programs, "dockerd"), ...flags], {
    env: { ...process.env, PATH: `${programs}:${process.env["PATH"]}` },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const said = (): string => readFileSync(join(dir, "log"), "utf8");
  await eventually(
    "dockerd is up",
    () => {
      if (child.exitCode !== null) throw new Error(`dockerd ended:\n${said().slice(-2_000)}`);
      return said().includes("API listen on");
    },
    START_MS,
  );
  const host = `unix://${socket}`;
  return {
    host,
    run: (...words) =>
      execFileSync("docker", ["--host", host, ...words], {
        encoding: "utf8",
        env: { ...process.env, PATH: `${programs}/../bin:${process.env["PATH"]}` },
        timeout: START_MS,
      }).trim(),
    async stop() {
      child.kill("SIGTERM");
      await ended;
      try {
        execFileSync("umount", [join(dir, "data")], { stdio: "ignore" });
      } catch {
        // Some versions leave their directory mounted on itself.
      }
    },
  };
}
