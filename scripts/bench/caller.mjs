// The caller of plugins, caller.c: compiled once for a run, handed plans, its reports read.

import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { must } from "./commands.mjs";

const SOURCE = fileURLToPath(new URL("caller.c", import.meta.url));

/** Compiles the caller to `program`. */
export async function compileCaller(program) {
  await must("gcc", ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, SOURCE]);
}

const running = new Set();

/**
 * Makes the calls, `atOnce` of them under way at any time, and answers with when each began and ended (ms on one clock)
 * and its standard output. A call that fails is an error: nothing is measured on failures.
 * @param {string} program
 * @param {number} atOnce
 * @param {{ netns: string, plugin: string, stdin: string, env: Record<string, string> }[]} calls
 * @returns {Promise<{ start: number, end: number, stdout: string }[]>}
 */
export async function callPlugins(program, atOnce, calls) {
  const child = spawn(program, [String(atOnce)], { stdio: ["pipe", "pipe", "inherit"] });
  running.add(child);
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      running.delete(child);
      if (code === 0) resolve();
      else reject(new Error(`the caller of plugins ended with ${code ?? "a signal"}`));
    });
  });
  // A caller that ends early says why on stderr.
  child.stdin.on("error", () => {});
  child.stdin.end(calls.map(encode).join(""));
  const [report] = await Promise.all([text(child.stdout), ended]);
  const strings = report.split("\0");
  return calls.map((call, index) => {
    const [start, end, status, stdout] = strings.slice(index * 4, index * 4 + 4);
    if (status !== "0") {
      const what = `${call.env.CNI_COMMAND} of ${call.plugin} for ${call.env.CNI_CONTAINERID}`;
      throw new Error(`${what} ended with ${status}: ${stdout}`);
    }
    return { start: Number(start) / 1e6, end: Number(end) / 1e6, stdout };
  });
}

/** Ends the callers that run; the plugins they started end by themselves. */
export function stopCallers() {
  for (const child of running) child.kill("SIGKILL");
}

function encode({ netns, plugin, stdin, env }) {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return [netns, plugin, stdin, ...variables, ""].map((string) => `${string}\0`).join("");
}
