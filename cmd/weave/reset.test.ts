import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { markLeaving } from "../../src/adapters/peer-marker.ts";
import { type StandIn, standInDaemon, temporaryDirectory, weave } from "./testing/harness.ts";
import { healthy } from "./testing/statuses.ts";

/** No process has it: pids end below (proc(5), pid_max). */
const NOBODY = 2 ** 22 + 1;

let directory: ReturnType<typeof temporaryDirectory>;
let dataDir: string;
let daemon: StandIn | undefined;

beforeEach(() => {
  directory = temporaryDirectory();
  dataDir = join(directory.path, "data");
  vi.stubEnv("WEAVE_RUN_DIR", directory.path);
  vi.stubEnv("WEAVE_DATA_DIR", dataDir);
});

afterEach(async () => {
  await daemon?.close();
  daemon = undefined;
  directory.remove();
  vi.unstubAllEnvs();
});

/** A daemon that leaves as told, and is gone after its answer. */
async function serve(http: number, answer: object): Promise<void> {
  daemon = await standInDaemon(directory.path, { "/v1/reset": [http, answer] }, () => {
    if (http === 200) setImmediate(() => void daemon?.close());
  });
}

/** A data directory of a peer that was called so. */
function state(...marks: readonly string[]): void {
  mkdirSync(join(dataDir, "db"), { recursive: true });
  writeFileSync(join(dataDir, "peer"), "alice\n");
  for (const mark of marks) writeFileSync(join(dataDir, mark), "");
}

/** A directory of programs whose weaver tells this over IPC. */
function weaverThatTells(report: object): string {
  writeFileSync(join(directory.path, "package.json"), '{"type":"module"}');
  const script = `
    import { writeFileSync } from "node:fs";
    writeFileSync(${JSON.stringify(join(directory.path, "called"))}, process.argv.slice(2).join(" "));
    process.send(${JSON.stringify(report)}, () => process.disconnect());`;
  writeFileSync(join(directory.path, "weaver"), script);
  return directory.path;
}

const left = {
  name: "alice",
  heir: "bob",
  nickname: "host2",
  given: [
    { range: "10.32.0.0/12", addresses: 524288 },
    { range: "fd00:77::/80", addresses: 1 },
  ],
  voter: "replaced",
  pid: NOBODY,
};
const HANDED_OVER =
  "524288 addresses of 10.32.0.0/12 and 1 address of fd00:77::/80 handed over to host2 (bob)\n";

describe("with a daemon", () => {
  test("tells who has the addresses, when the daemon is gone", async () => {
    await serve(200, { ...left, dataDir });
    expect(await weave(["reset"])).toEqual({
      stdout: `${HANDED_OVER}everything of weave was removed from this host, but for the CNI plugin (weave setup --uninstall)
`,
      stderr: "",
      code: 0,
    });
    expect(daemon?.calls).toEqual([`POST /v1/reset {"force":false}`]);
  });

  test.each([
    [{ voter: "still-counted" }, "this host still counts as one until it is replaced or removed"],
    [{ heir: undefined, given: [] }, "there were no ranges to hand over, or no other host"],
    [
      { heir: undefined, abandoned: "no peer is reachable" },
      "nobody took the ranges of this host: no peer is",
    ],
  ])("with the outcome %j", async (outcome, text) => {
    await serve(200, { ...left, ...outcome, dataDir });
    const { stdout, code } = await weave(["reset", "--force"]);
    expect(code).toBe(0);
    expect(stdout.replace(/\s+/g, " ")).toContain(text);
    expect(daemon?.calls).toEqual([`POST /v1/reset {"force":true}`]);
  });

  test("as JSON", async () => {
    await serve(200, { ...left, dataDir });
    const { stdout } = await weave(["reset", "--json"]);
    expect(JSON.parse(stdout)).toEqual({
      name: "alice",
      heir: "bob",
      nickname: "host2",
      given: left.given,
      voter: "replaced",
    });
  });

  test.each([
    ["no-heir", 503],
    ["in-use", 409],
  ])("a refusal (%s) is passed on, with 1", async (code, http) => {
    await serve(http, { code, message: "nothing was changed", hint: "weave reset --force" });
    expect(await weave(["reset"])).toEqual({
      stdout: "",
      stderr: "weave: nothing was changed\n  weave reset --force\n",
      code: 1,
    });
  });

  test("that was killed before all was removed, the rest is removed", async () => {
    state("leaving");
    await serve(200, { ...left, dataDir });
    const programs = weaverThatTells({ kind: "erased", removed: ["link del weave"] });
    expect((await weave(["reset"], programs)).stdout).toContain(HANDED_OVER);
  });
});

describe("without a daemon", () => {
  test("nothing is removed while there is state, and the way is told", async () => {
    state();
    const { stdout, stderr, code } = await weave(["reset"]);
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    const text = stderr.replace(/\s+/g, " ");
    expect(text).toContain("nobody can hand over the ranges of peer alice. Nothing was changed");
    expect(text).toContain("weave launch && weave reset");
    expect(text).toContain("then on another host weave rmpeer alice");
  });

  test("what was handed over before is removed, and nothing is due elsewhere", async () => {
    state();
    markLeaving(dataDir, "told");
    const { stdout } = await weave(
      ["reset"],
      weaverThatTells({ kind: "erased", removed: ["link del weave"] }),
    );
    expect(stdout).toBe("removed: link del weave\n");
  });

  test.each([
    [["--force"], []],
    [[], ["leaving"]],
  ])("%j, with the mark %j: weaver removes it", async (words, marks) => {
    state(...marks);
    const programs = weaverThatTells({ kind: "erased", removed: [`state in ${dataDir}`, "link del weave"] });
    const { stdout, code } = await weave(["reset", ...words], programs);
    expect(code).toBe(0);
    expect(stdout).toContain("removed: link del weave\n");
    expect(stdout).toContain("on another host run: weave rmpeer alice");
  });

  test("without state either, what is left in the kernel goes", async () => {
    const programs = weaverThatTells({ kind: "erased", removed: [] });
    expect(await weave(["reset"], programs)).toEqual({
      stdout: "nothing of weave was left on this host\n",
      stderr: "",
      code: 0,
    });
  });

  test("what weaver cannot remove is told", async () => {
    state();
    const failed = { kind: "failed", code: "already-running", message: "in use by another daemon" };
    const { stderr, code } = await weave(["reset", "--force"], weaverThatTells(failed));
    expect(code).toBe(1);
    expect(stderr).toContain("weave: in use by another daemon\n");
    rmSync(join(directory.path, "weaver"));
    expect((await weave(["reset", "--force"], directory.path)).stderr).toContain("weaver does not exist");
  });
});

describe("--join", () => {
  test("tells that this host is there, under which name, and what it lost", async () => {
    const lost = [{ address: "10.32.0.5", holder: "weave/c1/eth0", by: "bob" }];
    const setAside = { file: "/d/aside-x-joins.json", reason: "joins", at: "2026-01-31T12:00:00.000Z" };
    const statuses = [healthy, healthy, { ...healthy, cluster: "d00d", name: "alice-3f2a", lost, setAside }];
    const answers: Record<string, readonly [number, unknown]> = { "/v1/join": [200, { cluster: "d00d" }] };
    Object.defineProperty(answers, "/v1/status", { get: () => [200, statuses.shift()], enumerable: true });
    daemon = await standInDaemon(directory.path, answers);
    const { stdout, code } = await weave(["reset", "--join", "d00d"]);
    expect(code).toBe(0);
    const text = stdout.replace(/\s+/g, " ");
    expect(text).toContain("all 3 hosts of this cluster give up c0ffee00 for d00d");
    expect(text).toContain("in it as alice-3f2a(alice); what it knew before is in /d/aside-x-joins.json");
    expect(text).toContain("1 address of containers here is another host's now");
    expect(daemon.calls[1]).toBe(`POST /v1/join {"cluster":"d00d","force":false}`);
  });

  test("tells how many hosts answer, and how many are to follow", async () => {
    const [first, ...others] = healthy.peers;
    const since = "2026-01-31T12:00:00.000Z";
    const away = others.map((one, i) =>
      i === 0 ? { ...one, reachable: false, unreachableSince: since } : one,
    );
    const before = { ...healthy, peers: [first, ...away] };
    const statuses = [before, { ...before, cluster: "d00d" }];
    const answers: Record<string, readonly [number, unknown]> = { "/v1/join": [200, { cluster: "d00d" }] };
    Object.defineProperty(answers, "/v1/status", { get: () => [200, statuses.shift()], enumerable: true });
    daemon = await standInDaemon(directory.path, answers);
    const { stdout } = await weave(["reset", "--join", "d00d"]);
    expect(stdout.replace(/\s+/g, " ")).toContain(
      "all 3 hosts of this cluster give up c0ffee00 for d00d; 2 answer, 1 away will hear it when back",
    );
  });

  test("of a cluster nobody knows is refused", async () => {
    const refused = [404, { code: "unknown-cluster", message: "no neighbour belongs to d00d" }] as const;
    daemon = await standInDaemon(directory.path, { "/v1/status": [200, healthy], "/v1/join": refused });
    expect(await weave(["reset", "--join", "d00d", "--force"])).toMatchObject({
      code: 1,
      stderr: "weave: no neighbour belongs to d00d\n",
    });
  });
});
