// Programs of Debian packages for tests, where the machine lacks them: fetched once with apt, unpacked into the tests' cache and
// installed nowhere.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "weave-tests");
const FETCH_MS = 60_000;

/** Root directory of these packages unpacked, or why there is none. `name`: of the directory in the cache. */
export function debianPackages(
  name: string,
  packages: readonly string[],
): { readonly root: string } | { readonly lacking: string } {
  const root = join(CACHE, name);
  if (existsSync(root)) return { root };
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, `${name}-`));
  try {
    const run = (program: string, words: readonly string[]): void => {
      execFileSync(program, words, { cwd: work, stdio: "pipe", timeout: FETCH_MS });
    };
    run("apt-get", ["-o", "APT::Sandbox::User=root", "download", ...packages]);
    for (const deb of readdirSync(work).filter((file) => file.endsWith(".deb")))
      run("dpkg", ["-x", deb, "root"]);
    renameSync(join(work, "root"), root);
    return { root };
  } catch (error) {
    return { lacking: `${packages.join(", ")} cannot be had from Debian: ${String(error).split("\n")[0]}` };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
