import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ownRunDir } from "../../test/support/run-dir.ts";
import { weave } from "./testing/harness.ts";

const runDir = ownRunDir();
const ID = "3f2a".repeat(16);
const OTHER = "beef".repeat(16);

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Engines that know "web", running as this very process, and "old", which does not run. */
async function engines({ docker = false, podman = false }): Promise<void> {
  const socket = join(runDir.path, "docker.sock");
  vi.stubEnv("DOCKER_HOST", `unix://${socket}`);
  const bin = join(runDir.path, "bin");
  mkdirSync(bin);
  vi.stubEnv("PATH", `${bin}:/usr/bin:/bin`);
  const of = (id: string, pid: number): string => JSON.stringify({ Id: id, State: { Pid: pid }, Name: "/x" });
  writeFileSync(
    join(bin, "podman"),
    podman ? `#!/bin/sh\n[ "$4" = web ] && echo '[${of(OTHER, process.pid)}]'\n` : "#!/bin/sh\nexit 125\n",
  );
  chmodSync(join(bin, "podman"), 0o755);
  if (!docker) return;
  const server = createServer(({ url }, response) => {
    const known =
      url === "/containers/web/json" ? process.pid : url === "/containers/old/json" ? 0 : undefined;
    response.statusCode = known === undefined ? 404 : 200;
    response.end(known === undefined ? '{"message":"No such container"}' : of(ID, known));
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  closers.push(() => server.close());
}

const links = {
  links: [{ ident: "c1", ifname: "ethwe", mac: "02:a0:0a:20:00:02", addresses: ["10.32.0.2/12"] }],
};

/** What the daemon was asked, descriptors aside. */
const asked = (): string[] => runDir.calls.map((call) => call.replace(/"fd":\d+/, '"fd":N'));
const netns = `"netns":{"pid":${process.pid},"fd":N}`;

describe("attach", () => {
  it.each([
    ["a path", "/proc/self/ns/net", "net"],
    ["a process", String(process.pid), `pid-${process.pid}`],
    ["a container of Docker", "web", ID],
  ])("%s", async (_, target, ident) => {
    await engines({ docker: true });
    await runDir.serve({ "/v1/attach": [200, links] });
    expect(await weave(["attach", target])).toEqual({ stdout: "10.32.0.2/12\n", stderr: "", code: 0 });
    expect(asked()).toEqual([
      `POST /v1/attach {"addresses":[],"subnets":["default"],"ident":"${ident}",${netns}}`,
    ]);
  });

  it("takes podman's, and asks which when both have one", async () => {
    await engines({ podman: true });
    await runDir.serve({ "/v1/attach": [200, links] });
    await weave(["attach", "10.2.1.1/24", "web"]);
    expect(asked()[0]).toContain(`"ident":"${OTHER}"`);
  });

  it("asks which when both have one", async () => {
    await engines({ docker: true, podman: true });
    const { stderr, code } = await weave(["attach", "web"]);
    expect(code).toBe(2);
    expect(stderr).toContain("Docker and podman both have a container web");
    expect(stderr).toContain("3f2a3f2a3f2a is Docker's, beefbeefbeef podman's");
  });

  it.each([
    [["attach", "old"], "Docker's container old does not run"],
    [["attach", "none"], "no container is called none: Docker knows none; podman knows none"],
    [["attach", "/run/netns/none"], "cannot open the network namespace /run/netns/none: ENOENT"],
  ])("%j fails with 1, and nothing is asked of the daemon", async (words, why) => {
    await engines({ docker: true });
    await runDir.serve({});
    const { stdout, stderr, code } = await weave(words);
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    expect(stderr).toContain(why);
    expect(runDir.calls).toEqual([]);
  });

  it.each([[["attach", "10.2.1.1/24"]], [["attach", "net:default"]], [["attach", "10.2.1.0/24", "web"]]])(
    "%j is a wrong command line",
    async (words) => expect(await weave(words)).toMatchObject({ stdout: "", code: 2 }),
  );
});

describe("detach", () => {
  it("needs no namespace of a container that ended", async () => {
    await engines({ docker: true });
    await runDir.serve({ "/v1/detach": [200, { links: [] }] });
    expect(await weave(["detach", "old"])).toEqual({
      stdout: "",
      stderr: "weave: nothing of this was attached\n",
      code: 0,
    });
    await weave(["detach", "net:10.32.4.0/24", "/run/netns/gone"]);
    expect(asked()).toEqual([
      `POST /v1/detach {"addresses":[],"subnets":["default"],"ident":"${ID}"}`,
      'POST /v1/detach {"addresses":[],"subnets":["10.32.4.0/24"],"ident":"gone"}',
    ]);
  });
});

describe("hide", () => {
  it("prints what went, and says when nothing did", async () => {
    await runDir.serve({ "/v1/hide": [200, { addresses: ["10.32.0.1/12"] }] });
    expect(await weave(["hide"])).toEqual({ stdout: "10.32.0.1/12\n", stderr: "", code: 0 });
    expect(await weave(["hide", "ip:10.2.1.1/24", "net:10.2.2.0/24", "--json"])).toMatchObject({ code: 0 });
    expect(runDir.calls).toEqual([
      'POST /v1/hide {"addresses":[],"subnets":["default"]}',
      'POST /v1/hide {"addresses":["10.2.1.1/24"],"subnets":["10.2.2.0/24"]}',
    ]);
  });
});

describe("ps", () => {
  const holders = [
    { ident: "weave:expose", mac: "7a:00:00:00:00:01", addresses: ["10.32.0.1/12"] },
    {
      ident: ID,
      network: "weave",
      ifname: "eth0",
      mac: "02:a0:0a:20:00:02",
      addresses: ["10.32.0.2/12", "fd00::2/64"],
    },
    { ident: "c1", network: "weave", ifname: "eth0", addresses: ["10.32.0.3/12"] },
  ];

  it("is Weave Net's lines, all or some", async () => {
    await engines({ docker: true });
    await runDir.serve({ "/v1/ps": [200, { holders }] });
    const lines = [
      "weave:expose 7a:00:00:00:00:01 10.32.0.1/12\n",
      "3f2a3f2a3f2a 02:a0:0a:20:00:02 10.32.0.2/12 fd00::2/64\n",
      "c1 - 10.32.0.3/12\n",
    ];
    expect((await weave(["ps"])).stdout).toBe(lines.join(""));
    expect((await weave(["ps", "3f2a"])).stdout).toBe(lines[1]);
    expect((await weave(["ps", "web", "weave:expose"])).stdout).toBe(`${lines[0]}${lines[1]}`);
    expect(JSON.parse((await weave(["ps", "c1", "--json"])).stdout)).toEqual({ holders: [holders[2]] });
    expect(await weave(["ps", "nobody"])).toMatchObject({ stdout: "", code: 1 });
  });
});
