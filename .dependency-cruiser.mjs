// The import rules of docs/architecture.md, as dependency-cruiser rules: which layer may import which, and which
// npm package belongs to which layer. scripts/check-layers.mjs runs them and makes sure every module was seen.

/** Test files sit beside their source and obey its layer, but may use test libraries and node:*. */
const tests = "\\.test\\.ts$";

/**
 * A layer imports itself and what is listed here, nothing else of this repository. Paths are prefixes.
 * What an adapter may import of other adapters is a rule of its own below.
 */
const layers = {
  "src/core/": [],
  "src/ports/": ["src/core/"],
  "src/api/": ["src/core/"],
  "src/kernel/": ["src/ports/", "src/core/"],
  "src/adapters/": ["src/ports/", "src/core/"],
  "src/adapters/http": ["src/ports/", "src/core/", "src/api/"],
  "src/daemon/": ["src/ports/", "src/core/"],
  "cni-plugin/": [
    "src/api/",
    "src/ports/",
    "src/core/address/",
    "src/core/boot-moment.ts",
    "src/core/errors.ts",
    "src/core/hash.ts",
  ],
  "cmd/": [
    "src/daemon/",
    "src/adapters/",
    "src/kernel/",
    "src/api/",
    "src/ports/",
    "src/core/",
    "cni-plugin/",
  ],
};

/** Packages that only one place may know, so that replacing one changes one place. */
const packages = {
  "src/kernel/": ["netlink", "koffi", "raw-socket"],
  "src/adapters/transport-ws": ["ws"],
  "src/adapters/store-level": ["level"],
  "src/adapters/http": ["fastify"],
  "src/adapters/log": ["pino"],
  "src/adapters/metrics": ["prom-client"],
  "cmd/": ["commander"],
};

const ourCode = "^(src|cmd|cni-plugin|test|scripts)/";

function prefix(paths) {
  return `^(${paths.map((path) => path.replaceAll(".", "\\.")).join("|")})`;
}

/** "src/adapters/" is not the owner of files that the longer "src/adapters/http" describes. */
function narrower(layer) {
  return Object.keys(layers).filter((other) => other !== layer && other.startsWith(layer));
}

const layerRules = Object.entries(layers).map(([layer, allowed]) => {
  const others = narrower(layer);
  return {
    name: `layer ${layer.replace(/\/$/, "")}`,
    comment: `${layer} may import ${allowed.length === 0 ? "nothing outside itself" : allowed.join(", ")}.`,
    severity: "error",
    from: { path: prefix([layer]), ...(others.length === 0 ? {} : { pathNot: prefix(others) }) },
    // test/ has a rule of its own, which knows about test files.
    to: { path: ourCode, pathNot: prefix([layer, ...allowed, "test/"]) },
  };
});

const packageRules = Object.entries(packages).map(([owner, names]) => ({
  name: `package ${names.join(", ")}`,
  comment: `Only ${owner} may import ${names.join(", ")}.`,
  severity: "error",
  from: { pathNot: [prefix([owner]), "^test/", tests] },
  to: { path: `(^|/)node_modules/(@types/)?(${names.join("|")})/` },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    ...layerRules,
    ...packageRules,
    {
      name: "adapters apart",
      comment:
        "An adapter never imports another adapter; what two of them share belongs to src/core or src/ports.",
      severity: "error",
      from: { path: "^src/adapters/([^/.]+)" },
      to: { path: "^src/adapters/", pathNot: "^src/adapters/$1(/|\\.)" },
    },
    {
      name: "ports are types",
      comment: "src/ports holds types only and imports types only.",
      severity: "error",
      from: { path: "^src/ports/" },
      to: { path: ourCode, dependencyTypesNot: ["type-only"] },
    },
    {
      name: "api takes types and errors",
      comment:
        "src/api is shared with the CLI and the plugin: of the core it loads errors, the rest as types only.",
      severity: "error",
      from: { path: "^src/api/" },
      to: { path: "^src/core/", pathNot: "^src/core/errors\\.ts$", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "core has no platform",
      comment: "src/core is deterministic: no node:* modules.",
      severity: "error",
      from: { path: "^src/core/", pathNot: tests },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "core packages",
      comment: "Of npm, src/core imports ip-address and zod.",
      severity: "error",
      from: { path: "^src/core/", pathNot: tests },
      to: { path: "(^|/)node_modules/", pathNot: "(^|/)node_modules/(ip-address|zod)/" },
    },
    {
      name: "nothing imports test",
      comment: "Code that ships never imports test/; test files may use test/support.",
      severity: "error",
      from: { pathNot: ["^test/", tests] },
      to: { path: "^test/" },
    },
    {
      name: "tests import support only",
      comment:
        "A test file beside its source takes shared parts from test/support and from nowhere else in test/.",
      severity: "error",
      from: { path: tests, pathNot: "^test/" },
      to: { path: "^test/", pathNot: "^test/support/" },
    },
    {
      name: "no test imported",
      comment: "A test file is a leaf: shared parts belong to test/support.",
      severity: "error",
      from: {},
      to: { path: tests },
    },
    {
      name: "no cycles",
      comment: "Two modules that need each other, types included, are one module or hide a third.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "resolvable",
      comment:
        "An import that does not resolve is not checked by any rule here. An optional package may be missing.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^raw-socket$" },
    },
    {
      name: "no development packages",
      comment: "Code that ships imports `dependencies` only.",
      severity: "error",
      from: { path: "^(src|cmd|cni-plugin)/", pathNot: tests },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    doNotFollow: { path: "(^|/)node_modules/" },
    exclude: { path: "^dist/" },
    // Sees `import type`, which the compiler erases: the layers bind types too.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
