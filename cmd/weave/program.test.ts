import { describe, expect, test } from "vitest";
import { ownRunDir } from "../../test/support/run-dir.ts";
import { weave } from "./testing/harness.ts";
import { empty, healthy, problem } from "./testing/statuses.ts";

const runDir = ownRunDir();

const VERBS = [
  ...["setup", "launch", "connect", "forget", "prime", "expose", "hide", "attach", "detach", "ps", "status"],
  ...["completion", "report", "version", "rmpeer", "reset", "stop", "doctor"],
];

describe("help", () => {
  test.each(VERBS)("%s: what it is, its options, examples, in 100 columns", async (verb) => {
    const { stdout, stderr, code } = await weave([verb, "--help"]);
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    expect(stdout).toMatch(new RegExp(`^Usage: weave ${verb} \\[options\\]`));
    expect(stdout).toMatch(/\nExamples?:\n {2}\S/);
    expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([]);
  });

  test("of weave names every verb and the exit codes", async () => {
    const { stdout, code } = await weave(["--help"]);
    expect(code).toBe(0);
    for (const verb of VERBS) expect(stdout).toContain(`\n  ${verb} [options]`);
    expect(stdout).toContain("Exit codes: 0 done; 1 failed");
    expect((await weave(["help", "stop"])).stdout).toBe((await weave(["stop", "--help"])).stdout);
  });

  test("without a verb it goes to stderr: nothing was done", async () => {
    const { stdout, stderr, code } = await weave([]);
    expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
    expect(stderr).toContain("Usage: weave");
  });
});

describe("a wrong command line ends with 2, a hint and no stack", () => {
  test.each([
    [["staus"], "weave: unknown command 'staus'\n  (Did you mean status?)\n  see: weave --help\n"],
    [
      ["status", "--jsn"],
      "weave: unknown option '--jsn'\n  (Did you mean --json?)\n  see: weave status --help\n",
    ],
    [
      ["status", "ipams"],
      'weave: status has no section "ipams"\n  it has: connections, targets, peers, ipam, endpoints, cni\n',
    ],
    [
      ["stop", "now"],
      "weave: too many arguments for 'stop'. Expected 0 arguments but got 1.\n  see: weave stop --help\n",
    ],
    [["connect"], "weave: missing required argument 'PEER'\n  see: weave connect --help\n"],
    [["connect", "a b"], 'weave: "a b" is not a peer address\n  write HOST, HOST:PORT or [IPV6]:PORT\n'],
    [
      ["expose", "10.32.0.1"],
      'weave: "10.32.0.1" is not an address with its prefix length\n  write ADDRESS/LENGTH, for example 10.32.0.100/12, or nothing to have one allocated\n',
    ],
  ])("%j", async (words, stderr) => {
    expect(await weave(words)).toEqual({ stdout: "", stderr, code: 2 });
  });
});

describe("without a daemon", () => {
  test.each([[["connect", "host1"]], [["expose"]]])(
    "%j fails with 1 and says how to start it",
    async (words) => {
      const { stdout, stderr, code } = await weave(words);
      expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
      expect(stderr).toContain(`weave: weaver is not answering on ${runDir.path}/weave.sock`);
      expect(stderr).toContain("\n  start it with: weave launch\n");
    },
  );

  test("stop fails with 1 and says so", async () => {
    const { stdout, stderr, code } = await weave(["stop"]);
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    expect(stderr).toContain(`weave: weaver is not running: nobody answers on ${runDir.path}/weave.sock\n`);
  });

  test("version gives its own", async () => {
    const { stdout, code } = await weave(["version"]);
    expect({ stdout, code }).toEqual({
      stdout: `weave 0.1.0\nweaver is not running (${runDir.path}/weave.sock)\n`,
      code: 0,
    });
  });

  test("status is a problem in the usual form, also as JSON", async () => {
    const { stdout, code } = await weave(["status"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^PROBLEM: not-running \S+ since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ; run weave launch\n$/,
    );
    const asJson = await weave(["status", "peers", "--json"]);
    expect(asJson.code).toBe(1);
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      ok: false,
      problems: [{ code: "not-running", object: `${runDir.path}/weave.sock`, command: "weave launch" }],
    });
  });
});

describe("with a daemon", () => {
  test("connect sends the peers and prints the targets", async () => {
    await runDir.serve({ "/v1/connect": [200, { targets: ["host1", "host2:7"] }] });
    expect(await weave(["connect", "host2:7"])).toEqual({ stdout: "host1\nhost2:7\n", stderr: "", code: 0 });
    expect(JSON.parse((await weave(["connect", "--replace", "--json", "host1", "host2:7"])).stdout)).toEqual({
      targets: ["host1", "host2:7"],
    });
    expect(runDir.calls).toEqual([
      'POST /v1/connect {"peers":["host2:7"],"replace":false}',
      'POST /v1/connect {"peers":["host1","host2:7"],"replace":true}',
    ]);
  });

  test("forget prints the targets that are left", async () => {
    await runDir.serve({ "/v1/forget": [200, { forgotten: ["host2:7"], targets: ["host1"] }] });
    expect(await weave(["forget", "host2:7"])).toEqual({ stdout: "host1\n", stderr: "", code: 0 });
    expect(JSON.parse((await weave(["forget", "--json", "host2:7"])).stdout)).toEqual({
      forgotten: ["host2:7"],
      targets: ["host1"],
    });
    expect(runDir.calls).toEqual(Array(2).fill('POST /v1/forget {"peers":["host2:7"]}'));
  });

  test("forget says so when none of those named was a target", async () => {
    await runDir.serve({ "/v1/forget": [200, { forgotten: [], targets: ["host1"] }] });
    expect(await weave(["forget", "host3"])).toEqual({
      stdout: "host1\n",
      stderr: "weave: none of these is a target: host3; see: weave status targets\n",
      code: 0,
    });
  });

  test("expose prints the addresses, masquerade unless told otherwise", async () => {
    await runDir.serve({
      "/v1/expose": [200, { addresses: ["10.32.0.1/12", "10.32.5.1/24"] }],
    });
    expect(await weave(["expose"])).toEqual({ stdout: "10.32.0.1/12\n10.32.5.1/24\n", stderr: "", code: 0 });
    await weave(["expose", "10.32.0.1/12", "--without-masquerade"]);
    expect(runDir.calls).toEqual([
      'POST /v1/expose {"addresses":[],"subnets":["default"],"masquerade":true}',
      'POST /v1/expose {"addresses":["10.32.0.1/12"],"subnets":[],"masquerade":false}',
    ]);
  });

  test("a refusal of the daemon is told with its hint", async () => {
    const refusal = {
      code: "no-ring",
      message: "nobody has founded the cluster",
      hint: "launch one host without peers",
    };
    await runDir.serve({ "/v1/expose": [503, refusal] });
    expect(await weave(["expose"])).toEqual({
      stdout: "",
      stderr: "weave: nobody has founded the cluster\n  launch one host without peers\n",
      code: 1,
    });
  });

  test("version gives both", async () => {
    await runDir.serve({ "/v1/status": [200, { ...healthy, version: "0.2.0" }] });
    expect((await weave(["version"])).stdout).toBe("weave 0.1.0\nweaver 0.2.0, running as process 4711\n");
  });

  test("status in good order: OK and 0", async () => {
    await runDir.serve({ "/v1/status": [200, healthy] });
    const text = await weave(["status"]);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^OK\n\nversion/);
    const asJson = await weave(["status", "--json"]);
    expect(asJson.code).toBe(0);
    expect(JSON.parse(asJson.stdout)).toEqual(healthy);
    expect(JSON.parse((await weave(["status", "peers", "--json"])).stdout)).toEqual({
      ok: true,
      problems: [],
      peers: healthy.peers,
    });
  });

  test("status with problems: 1, the most severe first, with and without --json", async () => {
    const problems = [
      problem("refused", "mallory", "weave status peers"),
      problem("datapath", "weave", "weave status"),
    ];
    await runDir.serve({ "/v1/status": [200, { ...empty, problems }] });
    for (const section of [[], ["connections"], ["targets"], ["peers"], ["ipam"], ["endpoints"]]) {
      const { stdout, code } = await weave(["status", ...section]);
      expect(code).toBe(1);
      expect(stdout.split("\n").slice(0, 3)).toEqual([
        "PROBLEM: datapath weave since 2026-01-31T12:00:00Z; run weave status",
        "PROBLEM: refused mallory since 2026-01-31T12:00:00Z; run weave status peers",
        "",
      ]);
    }
    const { problems: told, ok } = JSON.parse((await weave(["status", "--json"])).stdout);
    expect(ok).toBe(false);
    expect(told.map(({ code }: { code: string }) => code)).toEqual(["datapath", "refused"]);
  });

  test("status of a daemon that answers in another form keeps the first line", async () => {
    await runDir.serve({ "/v1/status": [200, { up: true }] });
    const { stdout, code } = await weave(["status"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^PROBLEM: internal \S+ since \S+; run weave stop\n$/);
  });
});
