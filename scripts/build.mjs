// `npm run build`: bundles the two programs and what they start or load later (kernel worker, survey, metrics) with esbuild
// and compiles the CNI forwarder with gcc, all into dist/. Every file is written beside its place and renamed, so that a
// daemon that starts while a build runs finds the old file or the new one, never half of one.

import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { isMainModule, repositoryRoot } from "./run.mjs";

const dist = join(repositoryRoot, "dist");

/**
 * Packages that stay outside the bundles: native addons, which load their binary relative to their own
 * directory, and the optional native parts that ws tries to load and does without.
 */
const external = ["netlink", "koffi", "raw-socket", "level", "classic-level", "bufferutil", "utf-8-validate"];

/** CommonJS inside an ES module bundle expects these three names; esbuild does not provide them. */
const commonJsNames = [
  `import { createRequire as __createRequire } from "node:module";`,
  `import { fileURLToPath as __fileURLToPath } from "node:url";`,
  `const require = __createRequire(import.meta.url);`,
  `const __filename = __fileURLToPath(import.meta.url);`,
  `const __dirname = __fileURLToPath(new URL(".", import.meta.url));`,
].join("\n");

/** Messages of zod in 60 languages nobody asks for: a tenth of the text. */
const withoutLanguages = {
  name: "without-languages",
  setup({ onLoad }) {
    onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

/**
 * Packages that are asked for only by what weave does not use: fastify's JSON schemas (src/adapters/http/fastify.ts says why),
 * its plugins and its injection of requests. V8 keeps the text of a program in memory: half a megabyte.
 */
const unused = /^(@fastify\/ajv-compiler|@fastify\/fast-json-stringify-compiler|light-my-request|semver)$/;
const withoutUnused = {
  name: "without-unused",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: unused }, ({ path }) => ({ path, namespace: "unused" }));
    onLoad({ filter: /.*/, namespace: "unused" }, ({ path }) => ({
      contents: `module.exports = () => { throw new Error("${path} is no part of this program (scripts/build.mjs)"); };`,
    }));
  },
};

const bundles = [
  { entry: "cmd/weave/main.ts", out: "bin/weave", executable: true },
  { entry: "cmd/weaver/main.ts", out: "bin/weaver", executable: true },
  { entry: "src/kernel/worker.ts", out: "lib/kernel-worker.js", executable: false },
  { entry: "src/kernel/survey/main.ts", out: "lib/kernel-survey.js", executable: false },
  { entry: "src/adapters/metrics/exposition.ts", out: "lib/metrics.js", executable: false },
];

const forwarderSources = "cni-plugin/forwarder";

/** Puts a finished temporary file in its place in one step. */
function install(temporary, path) {
  renameSync(temporary, path);
  console.log(`built ${relative(repositoryRoot, path)}`);
}

function temporaryName(path) {
  return `${path}.${process.pid}.tmp`;
}

async function bundle({ entry, out, executable }, version) {
  if (!existsSync(join(repositoryRoot, entry))) {
    console.log(`skipped ${out}: ${entry} does not exist`);
    return;
  }
  // Imported here and not above, so that a missing esbuild is reported in words by the caller.
  const { build } = await import("esbuild");
  const path = join(dist, out);
  const { outputFiles } = await build({
    absWorkingDir: repositoryRoot,
    entryPoints: [entry],
    outfile: path,
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node20.19",
    external,
    plugins: [withoutLanguages, withoutUnused],
    // Prefers the ES module build of a dependency, which can be tree-shaken: a smaller file starts faster.
    mainFields: ["module", "main"],
    define: { WEAVE_VERSION: JSON.stringify(version), "process.env.NODE_ENV": '"production"' },
    banner: { js: executable ? `${firstLine(out)}\n${commonJsNames}` : commonJsNames },
    // A third of the text less is four megabytes of the daemon's memory less. Names stay, for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 200,
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    logLevel: "warning",
  });
  for (const file of outputFiles) {
    const temporary = temporaryName(file.path);
    await writeFile(temporary, file.contents);
    if (file.path === path && executable) await chmod(temporary, 0o755);
    install(temporary, file.path);
  }
}

/** How the program is run by its name. The daemon's flags are those of cmd/node-flags.ts, which says why. */
export function firstLine(out) {
  if (out !== "bin/weaver") return "#!/usr/bin/env node";
  const flags =
    "--min-semi-space-size=4 --max-semi-space-size=4 --heap-growing-percent=20 --optimize-for-size --interrupt-budget=2000000";
  return `#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node ${flags}`;
}

async function compileForwarder(version) {
  const folder = join(repositoryRoot, forwarderSources);
  const sources = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".c"))
        .sort()
    : [];
  if (sources.length === 0) {
    console.log(`skipped bin/weave-net: no C files in ${forwarderSources}`);
    return;
  }
  const path = join(dist, "bin/weave-net");
  const temporary = temporaryName(path);
  const flags = ["-std=c11", "-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"];
  const files = sources.map((name) => join(forwarderSources, name));
  const { compiler, include } = muslOrGlibc();
  await compile(compiler, [...flags, ...include, `-DWEAVE_VERSION="${version}"`, "-o", temporary, ...files]);

  // One program under two names: it tells by argv[0] which CNI type it was called as.
  const ipam = join(dist, "bin/weave-ipam");
  const temporaryIpam = temporaryName(ipam);
  rmSync(temporaryIpam, { force: true });
  linkSync(temporary, temporaryIpam);
  install(temporary, path);
  install(temporaryIpam, ipam);
}

/**
 * A program linked with musl starts in 0.2 ms, one linked with glibc in 0.5 (its start asks the processor about itself,
 * which traps in a virtual machine); a runtime starts the plugin for every call. Without musl-tools glibc does.
 */
function muslOrGlibc() {
  if (spawnSync("musl-gcc", ["--version"], { stdio: "ignore" }).status !== 0)
    return { compiler: "gcc", include: [] };
  // The kernel's own headers are not part of musl.
  const multiarch = spawnSync("gcc", ["-print-multiarch"], { encoding: "utf8" }).stdout.trim();
  const folders = ["/usr/include", join("/usr/include", multiarch)];
  return { compiler: "musl-gcc", include: folders.flatMap((folder) => ["-idirafter", folder]) };
}

function compile(compiler, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(compiler, args, { cwd: repositoryRoot, stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", (error) => {
      const missing = error.code === "ENOENT";
      reject(
        new Error(
          missing ? "gcc is missing; run: apt-get install gcc libc6-dev" : `${compiler}: ${error.message}`,
        ),
      );
    });
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${compiler} could not compile ${forwarderSources} (exit code ${code})`));
    });
  });
}

/** Removes this build's temporary files and those of builds that were killed; a build that still runs keeps its own. */
function removeTemporaries() {
  for (const folder of ["bin", "lib"].map((name) => join(dist, name))) {
    for (const name of readdirSync(folder)) {
      const pid = /\.(\d+)\.tmp$/.exec(name)?.[1];
      const abandoned = pid !== undefined && (pid === String(process.pid) || !existsSync(`/proc/${pid}`));
      if (abandoned) rmSync(join(folder, name), { force: true });
    }
  }
}

/**
 * Builds everything, or only the given outputs ("bin/weave", "lib/kernel-worker.js", "bin/weave-net").
 * @param {string[]} [only]
 */
export async function build(only = []) {
  const wanted = (out) => only.length === 0 || only.includes(out);
  const { version } = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8"));
  for (const folder of ["bin", "lib"]) mkdirSync(join(dist, folder), { recursive: true });
  removeTemporaries();

  // Makes Node read the extensionless programs as ES modules wherever dist/ is copied to.
  const manifest = join(dist, "package.json");
  writeFileSync(
    temporaryName(manifest),
    `${JSON.stringify({ name: "weave", version, type: "module" }, null, 2)}\n`,
  );
  renameSync(temporaryName(manifest), manifest);

  const jobs = bundles.filter(({ out }) => wanted(out)).map((target) => bundle(target, version));
  if (wanted("bin/weave-net")) jobs.push(compileForwarder(version));
  const failures = (await Promise.allSettled(jobs)).filter(({ status }) => status === "rejected");
  removeTemporaries();
  if (failures.length > 0) throw new Error(failures.map(({ reason }) => reason.message).join("\n"));
}

if (isMainModule(import.meta.url)) {
  try {
    await build(process.argv.slice(2));
  } catch (error) {
    console.error(
      error.code === "ERR_MODULE_NOT_FOUND"
        ? "esbuild is missing; run: npm ci"
        : `build failed: ${error.message}`,
    );
    process.exitCode = 1;
  }
}
