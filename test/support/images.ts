// The images of the runtimes' tests, made on the spot: no registry is reachable, and no Docker is needed. One archive
// per image in the format of `docker save`, which containerd and podman both import.
//
// pause: one static program that waits for SIGTERM; what holds a pod's namespaces.
// box:   BusyBox with its applets, the same /pause, and a web server's root.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TarEntry, tar } from "./tar.ts";

/** Names under which a runtime that imported the archives knows the images. */
export const PAUSE_IMAGE = "localhost/weave-pause:1";
export const BOX_IMAGE = "localhost/weave-box:1";

/** Paths of the archives. */
export interface Images {
  readonly pause: string;
  readonly box: string;
}

/** Command of a container of either image that does nothing until it is told to end. */
export const WAIT: readonly string[] = ["/pause"];

/**
 * Command of a container of BOX_IMAGE that serves HTTP. `/cgi-bin/source` answers the address a request came from, as the
 * container sees it; `/cgi-bin/name` the container's host name.
 */
export function serve(port: number): readonly string[] {
  return ["/bin/httpd", "-f", "-p", `0.0.0.0:${port}`, "-h", "/www"];
}

/** Write both archives into a directory, which is made. */
export function buildImages(dir: string): Images {
  mkdirSync(dir, { recursive: true });
  const pause: TarEntry = { type: "file", path: "pause", content: compilePause(), mode: 0o755 };
  const images = { pause: join(dir, "pause.tar"), box: join(dir, "box.tar") };
  writeFileSync(images.pause, imageArchive(PAUSE_IMAGE, [pause], WAIT));
  writeFileSync(images.box, imageArchive(BOX_IMAGE, [pause, ...boxRoot()], WAIT));
  return images;
}

/** It is process 1 of its namespace: a signal without a handler would be ignored, and zombies are its to reap. */
const PAUSE_SOURCE = `
#include <signal.h>
#include <unistd.h>
static void end(int signal) { _exit(0); }
int main(void) {
  struct sigaction reap = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
  sigaction(SIGCHLD, &reap, 0);
  signal(SIGTERM, end);
  signal(SIGINT, end);
  for (;;) pause();
}
`;

function compilePause(): Buffer {
  const dir = mkdtempSync(join(tmpdir(), "weave-pause-"));
  try {
    const [source, program] = [join(dir, "pause.c"), join(dir, "pause")];
    writeFileSync(source, PAUSE_SOURCE);
    execFileSync("gcc", ["-static", "-Os", "-s", "-o", program, source]);
    return readFileSync(program);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function boxRoot(): TarEntry[] {
  const busybox = "/bin/busybox"; // the statically linked one of the package busybox-static
  const applets = execFileSync(busybox, ["--list"], { encoding: "utf8" }).split("\n").filter(Boolean);
  const script = (name: string, line: string): TarEntry => ({
    type: "file",
    path: `www/cgi-bin/${name}`,
    content: Buffer.from(`#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n${line}\n`),
    mode: 0o755,
  });
  return [
    ...["bin", "etc", "proc", "sys", "dev", "tmp", "www", "www/cgi-bin"].map(
      (path): TarEntry => ({ type: "directory", path }),
    ),
    { type: "file", path: "bin/busybox", content: readFileSync(busybox), mode: 0o755 },
    ...applets
      .filter((name) => name !== "busybox")
      .map((name): TarEntry => ({ type: "symlink", path: `bin/${name}`, target: "busybox" })),
    { type: "file", path: "etc/passwd", content: Buffer.from("root:x:0:0:root:/:/bin/sh\n") },
    { type: "file", path: "etc/group", content: Buffer.from("root:x:0:\n") },
    script("source", 'printf "%s" "$REMOTE_ADDR"'),
    script("name", 'printf "%s" "$(hostname)"'),
  ];
}

/** One layer, its configuration (image-spec's config.json), and the manifest that names them. */
function imageArchive(name: string, files: readonly TarEntry[], command: readonly string[]): Buffer {
  const layer = tar(files);
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      created: "1970-01-01T00:00:00Z",
      config: { Cmd: command, Env: ["PATH=/bin"], WorkingDir: "/" },
      rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
      history: [{ created: "1970-01-01T00:00:00Z", created_by: "weave tests" }],
    }),
  );
  const [layerPath, configPath] = [`${sha256(layer)}/layer.tar`, `${sha256(config)}.json`];
  const manifest = [{ Config: configPath, RepoTags: [name], Layers: [layerPath] }];
  return tar([
    { type: "directory", path: sha256(layer) },
    { type: "file", path: layerPath, content: layer },
    { type: "file", path: configPath, content: config },
    { type: "file", path: "manifest.json", content: Buffer.from(JSON.stringify(manifest)) },
  ]);
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
