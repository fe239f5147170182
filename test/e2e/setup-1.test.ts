// `weave setup` and `weave status cni` as an operator runs them: what a runtime that watches or reads the directories
// sees at every moment, which files are opened for writing at all, the default directories, and that `stop` takes
// nothing away.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, isObject } from "../kernel/support/namespaces.ts";
import type { Outcome } from "../support/host.ts";
import { useLab } from "../support/lab.ts";

const WEAVE = new URL("../../dist/bin/weave", import.meta.url).pathname;
const LOOPBACK = "/usr/lib/cni/loopback";

/** Runs a program; never rejects. */
function run(file: string, words: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const options = { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...env }, cwd: "/", timeout: 60_000 };
  return new Promise((resolve) => {
    execFile(file, words, options, (error, stdout, stderr) => {
      const exit = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ exit, stdout, stderr });
    });
  });
}

/** A configuration as a runtime reads it: undefined when it is not there. Throws when it is there and not whole. */
function network(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const parsed: unknown = JSON.parse(text);
  if (!isObject(parsed) || parsed["name"] !== "weave") throw new Error(`${path} says ${text}`);
  return parsed;
}

describe("files that runtimes read", () => {
  let dir: string;
  let conf: string;
  let state: string[];

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "weave-setup-"));
    conf = join(dir, "net.d");
    for (const name of ["bin", "net.d", "mesos/bin", "mesos/conf"])
      mkdirSync(join(dir, name), { recursive: true });
    state = ["--cni-bin-dir", join(dir, "bin"), "--cni-conf-dir", conf, "--data-dir", join(dir, "data")];
  });

  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("are whole at every read, and there is one at every moment of an exchange", async () => {
    expect((await run(WEAVE, ["setup", ...state])).exit).toBe(0);
    const paths = ["10-weave.conf", "10-weave.conflist"].map((name) => join(conf, name));
    const seen = { reads: 0, both: 0 };
    let ended = false;
    const reader = (async () => {
      while (!ended) {
        // Between two looks one exchange may end, not two: so the first is looked at again.
        const [first, second] = [network(paths[0] ?? ""), network(paths[1] ?? "")];
        if ((first ?? second ?? network(paths[0] ?? "")) === undefined) throw new Error("there is none");
        seen.reads++;
        if (first !== undefined && second !== undefined) seen.both++;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    try {
      for (const format of ["conflist", "conf", "conflist", "conf"]) {
        expect((await run(WEAVE, ["setup", ...state, "--format", format])).exit).toBe(0);
        expect(readdirSync(conf)).toEqual([`10-weave.${format}`]);
      }
    } finally {
      ended = true;
    }
    await reader;
    expect(seen.reads).toBeGreaterThan(100);
  });

  it("are renamed into their place from a name no runtime reads, and then get a newline: nothing else is written", async () => {
    const trace = join(dir, "strace");
    const calls =
      "trace=open,openat,creat,rename,renameat,renameat2,write,pwrite64,close,fsync,mkdir,link,symlink";
    const mesos = ["--mesos", join(dir, "mesos/bin"), join(dir, "mesos/conf")];
    const words = ["-f", "-y", "-s", "4000", "-e", calls, "-o", trace, WEAVE, "setup", ...state, ...mesos];
    expect((await run("strace", [...words, "--format", "conflist"])).exit).toBe(0);
    const lines = readFileSync(trace, "utf8").split("\n");

    const file = join(conf, "10-weave.conflist");
    const about = (path: string) => lines.filter((line) => line.includes(path));
    const opened = about(`"${conf}/`).filter((line) => /O_WRONLY|O_RDWR/.test(line));
    expect(opened).toHaveLength(2);
    expect(opened[0]).toMatch(/"[^"]*\/\.10-weave\.conflist\.\d+\.tmp", O_WRONLY\|O_CREAT\|O_EXCL/);
    expect(opened[1]).toMatch(/\/10-weave\.conflist", O_WRONLY\|O_CREAT\|O_APPEND/);
    const step = /\b(?:(rename)\(.*10-weave\.conflist"\)|(write|fsync)\(\d+<[^>]*10-weave\.conflist[^>]*>)/;
    const steps = lines.flatMap((line) => step.exec(line)?.slice(1).filter(Boolean) ?? []);
    expect(steps).toEqual(["write", "fsync", "rename", "write", "fsync"]);
    expect(about(`<${file}>`).find((line) => line.includes("write("))).toContain(`, "\\n", 1)`);

    const inMesos = about(`${join(dir, "mesos/conf")}/`).filter(
      (line) => !/O_RDONLY|\) = -1 | write\(/.test(line),
    );
    expect(inMesos).toHaveLength(1);
    expect(inMesos[0]).toMatch(
      /rename\("[^"]*\/mesos\/\.weave\.conf\.\d+\.tmp", "[^"]*\/mesos\/conf\/weave\.conf"\)/,
    );
  });

  it("watchers of Mesos' directory see one file appear, change and go", async () => {
    const directory = join(dir, "mesos/conf");
    const events: string[] = [];
    const watcher = watch(directory, (event, name) => events.push(`${event} ${name}`));
    try {
      const words = ["setup", ...state, "--mesos", join(dir, "mesos/bin"), directory];
      expect((await run(WEAVE, words)).exit).toBe(0);
      await eventually("the file appears", () => events.length > 0);
      expect((await run(WEAVE, words)).exit).toBe(0);
      expect((await run(WEAVE, ["setup", "--uninstall", "--data-dir", join(dir, "data")])).exit).toBe(0);
      await eventually("the file goes", () => events.length > 1);
    } finally {
      watcher.close();
    }
    expect(events).toEqual(["rename weave.conf", "rename weave.conf"]);
  });

  it("go into a directory that is mounted, too, still without a temporary file of Mesos' in it", async () => {
    const directory = join(dir, "mesos/conf");
    const script = `mount -t tmpfs tmpfs ${directory} || exit 9
      ${WEAVE} setup ${state.join(" ")} --mesos ${dir}/mesos/bin ${directory} >&2 || exit 8
      cd ${directory} && find . -mindepth 1; cat weave.conf`;
    const { exit, stdout, stderr } = await run("unshare", ["-m", "sh", "-c", script]);
    expect({ exit, stderr }).toMatchObject({ exit: 0 });
    expect(stdout).toMatch(/^\.\/weave\.conf\n\{\n {2}"cniVersion": "0\.2\.0"/);
  });

  it("survive a setup killed at any of its system calls: the next one ends its work, an uninstall leaves nothing", async () => {
    expect((await run(WEAVE, ["setup", ...state])).exit).toBe(0);
    const exchange = ["setup", ...state, "--format", "conflist"];
    let killed = 0;
    for (const [call, count] of [
      ["rename", 4],
      ["fsync", 8],
      ["unlink", 3],
    ] as const) {
      for (let nth = 1; nth <= count; nth++) {
        const inject = `inject=${call}:signal=KILL:when=${nth}`;
        await run("strace", [
          "-f",
          "-o",
          "/dev/null",
          "-e",
          `trace=${call}`,
          "-e",
          inject,
          WEAVE,
          ...exchange,
        ]).then(({ exit }) => (killed += exit === 0 ? 0 : 1));
        const whole = ["10-weave.conf", "10-weave.conflist"].map((name) => network(join(conf, name)));
        expect(whole.some((each) => each !== undefined)).toBe(true);
        expect((await run(WEAVE, exchange)).exit).toBe(0);
        expect(readdirSync(conf)).toEqual(["10-weave.conflist"]);
        expect((await run(WEAVE, ["setup", ...state, "--format", "conf"])).exit).toBe(0);
        expect(readdirSync(conf)).toEqual(["10-weave.conf"]);
      }
    }
    expect(killed).toBeGreaterThan(5);
    expect((await run(WEAVE, ["setup", "--uninstall", "--data-dir", join(dir, "data")])).exit).toBe(0);
    expect(readdirSync(dir).filter((name) => name !== "mesos")).toEqual(["bin", "net.d"]);
    expect([readdirSync(join(dir, "bin")), readdirSync(conf)]).toEqual([[], []]);
  });
});

describe("the default directories, in a world of their own", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "weave-setup-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** With /etc and /opt that this script may change, and none of the directories that setup looks for. */
  function inOwnWorld(script: string): Promise<Outcome> {
    const layers = ["etc", "opt"].map(
      (name) => `mkdir -p /${name} ${dir}/${name}.up ${dir}/${name}.work
        mount -t overlay overlay -o lowerdir=/${name},upperdir=${dir}/${name}.up,workdir=${dir}/${name}.work /${name} || exit 99`,
    );
    const lines = [
      `mount -t tmpfs tmpfs ${dir}`,
      ...layers,
      "rm -rf /opt/cni /opt/mesosphere /etc/cni",
      script,
    ];
    const env = { WEAVE_DATA_DIR: join(dir, "data"), WEAVE_RUN_DIR: join(dir, "run"), weave: WEAVE };
    return run("unshare", ["-m", "sh", "-c", lines.join("\n")], env);
  }

  it("kubelet's: setup, again, uninstall twice", async () => {
    const { exit, stdout, stderr } = await inOwnWorld(`
      mkdir -p /opt/cni/bin /etc/cni/net.d
      $weave setup >&2 && $weave setup >&2 && find /opt/cni /etc/cni -not -type d | sort
      echo; $weave setup --uninstall >&2 && $weave setup --uninstall >&2 && find /opt/cni /etc/cni -not -type d`);
    expect({ exit, stderr }).toMatchObject({ exit: 0 });
    expect(stdout.split("\n\n")[0]?.split("\n")).toEqual([
      "/etc/cni/net.d/10-weave.conf",
      "/opt/cni/bin/weave-ipam",
      "/opt/cni/bin/weave-net",
      expect.stringMatching(/^\/opt\/cni\/bin\/weave-plugin-[\d.]+$/),
      expect.stringMatching(/^\/opt\/cni\/bin\/weave-plugin-[\d.]+\.socket$/),
    ]);
    expect(stdout.split("\n\n")[1]?.trim()).toBe("");
  });

  it("DC/OS's, made where /opt/mesosphere exists, and removed again", async () => {
    const { exit, stdout, stderr } = await inOwnWorld(`
      mkdir /opt/mesosphere
      $weave setup >&2 && cd /opt/mesosphere && find . -not -type d | sort
      $weave setup --uninstall >&2 && find . -mindepth 1`);
    expect({ exit, stderr }).toMatchObject({ exit: 0 });
    expect(stdout.replaceAll(/weave-plugin-[\d.]+\d/g, "weave-plugin-V").split("\n")).toEqual([
      "./active/cni/weave-ipam",
      "./active/cni/weave-net",
      "./active/cni/weave-plugin-V",
      "./active/cni/weave-plugin-V.socket",
      "./etc/dcos/network/cni/weave.conf",
      "",
    ]);
    expect(stderr).toContain("an upgrade of DC/OS makes its directory active/ anew");
    expect(stderr).not.toContain("missing");
  });

  it("none of them: nothing is installed, and it says so", async () => {
    const { exit, stdout, stderr } = await inOwnWorld("$weave setup");
    expect(exit).toBe(1);
    expect(stdout).toContain("mkdir -p /opt/cni/bin");
    expect(stderr).toBe("weave: nothing was installed\n");
  });
});

describe("with a daemon", () => {
  const lab = useLab(1);

  it("status cni follows the daemon, stop takes no file away, uninstall tells what goes on", async () => {
    const host = lab.host(1);
    symlinkSync(LOOPBACK, join(host.cniBinDir, "loopback"));
    const cni = ["status", "cni"];
    expect((await host.weave(...cni)).stdout).toContain("\n    run: weave launch --run-dir");
    await host.launch();
    const { exit, stdout } = await host.weave(...cni);
    expect(stdout.split("\n")[0]).toBe("OK: kubelet will use weave");
    expect(stdout).toContain(`process ${host.pid()}, ${host.runDir}/weave.sock`);
    expect(exit).toBe(0);

    const container = await lab.attached(host);
    await host.weaveOk(
      "setup",
      "--cni-bin-dir",
      host.cniBinDir,
      "--cni-conf-dir",
      host.cniConfDir,
      "--format",
      "conflist",
    );
    expect((await host.weave(...cni)).exit).toBe(0);
    await host.stop();
    expect(readdirSync(host.cniConfDir)).toEqual(["10-weave.conflist"]);
    expect((await host.weave(...cni)).exit).toBe(1);

    await host.launch();
    const gone = await host.weaveOk("setup", "--uninstall");
    expect(gone).toContain("1 container of this host still attached");
    expect(gone).toContain(`weaver runs on as process ${host.pid()}`);
    expect(await host.veths()).toEqual([container.hostIfname]);
    expect([readdirSync(host.cniBinDir), readdirSync(host.cniConfDir)]).toEqual([["loopback"], []]);

    // And back: what was attached before can be released.
    await host.setup();
    await container.del();
    expect(await host.veths()).toEqual([]);
  });
});
