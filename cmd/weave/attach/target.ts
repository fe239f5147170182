// TARGET of attach and detach: a namespace path, a process, or a container of Docker or podman, as a name for `weave ps` and an
// open namespace. The daemon takes the namespace by the descriptor, as it does from the plugin: a path may mean another
// thing where the daemon is.
import { closeSync, constants, openSync } from "node:fs";
import { basename, resolve } from "node:path";
import { WeaveError } from "../../../src/core/errors.ts";
import { type Container, containerNamed } from "./containers.ts";

/** Largest process id of Linux (PID_MAX_LIMIT of linux/threads.h); longer numbers are ids of containers. */
const MOST_PID = 4_194_304;

/** What the API is asked for. */
export interface Target {
  readonly ident: string;
  readonly netns?: { readonly pid: number; readonly fd: number };
}

/**
 * Runs `work` while the target's namespace is held open. Throws netns-missing, unknown-attachment. With `gone` a target
 * that does not run, or whose namespace is no more, is passed on without one.
 */
export async function withTarget<T>(
  text: string,
  gone: "refused" | "passed",
  work: (target: Target) => Promise<T>,
): Promise<T> {
  const { ident, path, why } = await placeOf(text);
  const fd = path === undefined ? undefined : open(path);
  if (typeof fd !== "number") {
    if (gone === "passed") return work({ ident });
    throw new WeaveError("netns-missing", why ?? `cannot open the network namespace ${path}: ${fd}`, {
      hint: NAME_ONE,
    });
  }
  try {
    return await work({ ident, netns: { pid: process.pid, fd } });
  } catch (error) {
    throw inTheirWords(error, `/proc/${process.pid}/fd/${fd}`, text);
  } finally {
    closeSync(fd);
  }
}

/** The daemon knows the namespace by the descriptor only; whoever typed a path or a name is told of that. */
function inTheirWords(error: unknown, path: string, target: string): unknown {
  if (!(error instanceof WeaveError) || !error.message.includes(path)) return error;
  const { code, message, hint, cause } = error;
  return new WeaveError(code, message.replaceAll(path, target), {
    hint: code === "netns-invalid" ? NAME_ONE : hint,
    cause,
  });
}

const NAME_ONE = "name a container that runs, or the path of its namespace";

interface Place {
  readonly ident: string;
  readonly path?: string;
  /** Why there is no path. */
  readonly why?: string;
}

async function placeOf(text: string): Promise<Place> {
  if (text.includes("/")) return { ident: identOf(basename(resolve(text))), path: resolve(text) };
  if (/^\d{1,7}$/.test(text) && Number(text) > 0 && Number(text) <= MOST_PID)
    return { ident: `pid-${Number(text)}`, path: `/proc/${Number(text)}/ns/net` };
  return ofContainer(await containerNamed(text), text);
}

function ofContainer({ engine, id, pid }: Container, name: string): Place {
  if (pid > 0) return { ident: id, path: `/proc/${pid}/ns/net` };
  return { ident: id, why: `${engine}'s container ${name} does not run` };
}

/** A file may be called anything, a container id not. */
function identOf(name: string): string {
  const ident = name.replace(/[^a-zA-Z0-9_.-]/g, "-").replace(/^[^a-zA-Z0-9]+/, "");
  return (ident === "" ? "netns" : ident).slice(0, 128);
}

/** The errno name when it fails. O_NONBLOCK: opening a FIFO would wait for its other end. */
function open(path: string): number | string {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
