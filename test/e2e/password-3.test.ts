// Hosts with a password: those that share it meet, and nobody on the wire reads what they say; those without it, or with
// another, are refused in words on both sides and do not knock again and again.
import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { captureBytes } from "../support/wire-bytes.ts";

const PASSWORD = "the heron waits 4 the tide";
const OTHER = "some other words, as long";

describe("three hosts and a password", () => {
  const lab = useLab(0);
  let alice: Host;
  let bob: Host;
  let carol: Host;
  let file: string;

  beforeAll(async () => {
    alice = await lab.addHost({ nickname: "aliceberg" });
    bob = await lab.addHost({ nickname: "bobhausen" });
    carol = await lab.addHost({ nickname: "carolinum" });
    file = join(lab.dir, "password");
    writeFileSync(file, `${PASSWORD}\n`, { mode: 0o600 });
  });

  /** What alice and bob say to each other until each knows the other, as it crosses the switch. */
  async function meeting(launchBob: () => Promise<unknown>): Promise<string> {
    const wire = await captureBytes(
      lab.underlay.namespace,
      "p2",
      "tcp port 6783",
      join(lab.dir, "wire.pcap"),
    );
    await launchBob();
    await Promise.all([alice, bob].map((host) => host.until("two peers", isMeeting(2))));
    return wire.stop();
  }

  it("without it: what hosts say can be read on the wire, and status says who may come in", async () => {
    await alice.launch();
    const wire = await meeting(() => bob.launch(alice.address));
    // What bob dials with is masked (RFC 6455 section 5.3), by a key that stands beside it; what alice answers is not.
    for (const words of ["GET /weave", '"t":"hello"', "aliceberg"])
      expect(wire.includes(words), words).toBe(true);
    const { access } = await alice.status();
    expect(access).toEqual({
      password: false,
      reach: "everywhere", // 198.51.100.0/24 is no private network
      addresses: [`${alice.address}/24`],
    });
    expect(await alice.weaveOk("status")).toMatch(/^password +NONE: any machine that reaches TCP 6783/m);
    await Promise.all([alice.stop(), bob.stop()]);
  });

  it("with it: hosts meet, and nothing of it can be read on the wire", async () => {
    await alice.launch("--password-file", file);
    const wire = await meeting(async () => {
      const words = ["launch", "--nickname", bob.nickname, alice.address];
      expect(await bob.weaveWith({ WEAVE_PASSWORD: PASSWORD }, ...words)).toMatchObject({ exit: 0 });
    });
    expect(wire.length).toBeGreaterThan(1000);
    const { name } = await alice.status();
    for (const words of ["GET", "hello", "aliceberg", "bobhausen", name, "10.32.0.0", PASSWORD])
      expect(wire.includes(words), words).toBe(false);
    for (const host of [alice, bob]) {
      expect((await host.status()).access?.password).toBe(true);
      expect(await host.weaveOk("status")).toMatch(/^password +yes: /m);
    }
    const [one, other] = [await lab.attached(alice), await lab.attached(bob)];
    await one.reaches(other.address);
  });

  it("is nowhere to be read on the host", async () => {
    for (const host of [alice, bob]) {
      expect(readFileSync(`/proc/${host.pid()}/cmdline`, "latin1")).not.toContain(PASSWORD);
      const told = [await host.weaveOk("status"), JSON.stringify(await host.status())].join();
      expect(told).not.toContain(PASSWORD);
      const kept = [host.runDir, host.dataDir].map((dir) =>
        execFileSync("sh", ["-c", 'grep -rlF "$1" "$2" || true', "sh", PASSWORD, dir], { encoding: "utf8" }),
      );
      expect(kept).toEqual(["", ""]);
    }
  });

  it.each([
    {
      what: "another one",
      words: (): string[] => ["--password", OTHER],
      here: "password-wrong",
      there: "password-wrong",
    },
    {
      what: "none",
      words: (): string[] => [],
      here: "password-missing-here",
      there: "password-missing-there",
    },
  ])(
    "with $what a host is refused on both sides, and does not dial again at once",
    async ({ words, here, there }) => {
      await carol.launch(...words(), alice.address);
      const isRefused = ({ problems, connections }: Status): boolean =>
        problems.some(({ code }) => code === "refused") &&
        connections.some(({ failure }) => failure !== undefined);
      const [atCarol, atAlice] = await Promise.all(
        [carol, alice].map((host) => host.until("a refusal is told", isRefused)),
      );
      const out = atCarol?.connections.find(({ address }) => address === alice.address);
      expect(out).toMatchObject({
        direction: "out",
        state: "retrying",
        failureCode: here,
      });
      expect(Date.parse(out?.nextTry ?? "") - Date.now()).toBeGreaterThan(50_000);
      const inbound = atAlice?.connections.filter(({ address }) => address === carol.address);
      expect(inbound?.at(-1)).toMatchObject({
        direction: "in",
        state: "refused",
        failureCode: there,
      });
      expect(await carol.weave("status", "connections")).toMatchObject({
        exit: 1,
        stdout: expect.stringMatching(
          new RegExp(`^PROBLEM: refused [^]*-> +${alice.address} +retrying[^]*${here}: `, "m"),
        ),
      });
      expect((await alice.weave("status", "connections")).stdout).toMatch(
        new RegExp(`<- +${carol.address} +refused[^]*${there}: `),
      );
      expect(atCarol?.peers).toHaveLength(1);

      // Asked for by hand it is tried at once; at the other side it is the same refusal still, and not logged again.
      const before = [logged(carol, "dial-failed"), logged(alice, "refused")];
      await carol.weaveOk("connect", alice.address);
      await eventually("dialled again", () => logged(carol, "dial-failed") > (before[0] ?? 0));
      await carol.until("waits again", ({ connections }) => dueIn(connections, alice) > 50_000);
      expect([logged(carol, "dial-failed"), logged(alice, "refused")]).toEqual([
        (before[0] ?? 0) + 1,
        before[1],
      ]);
      await carol.stop();
    },
  );

  it("with the right one it comes in, and nothing is left of the refusals", async () => {
    await carol.launch("--password-file", file, alice.address);
    await lab.untilAllOk();
    for (const host of lab.hosts) {
      const { connections } = await host.status();
      expect(connections.filter(({ state }) => state === "refused")).toEqual([]);
    }
  });

  it("is hidden from /proc when it stands on the command line", async () => {
    await carol.stop();
    chmodSync(file, 0o644);
    const launched = carol.weave("launch", "--foreground", `--password=${PASSWORD}`);
    // nsenter becomes weave; only its own first moments have the word.
    const titles = (): string[] =>
      execFileSync(
        "sh",
        [
          "-c",
          `for p in $(ip netns pids ${carol.namespace.name}); do tr '\\0' ' ' </proc/$p/cmdline; echo; done`,
        ],
        {
          encoding: "utf8",
        },
      )
        .split("\n")
        .filter((line) => line !== "");
    await eventually("it runs", () => carol.status().catch(() => undefined));
    await eventually("no word of it in /proc", () => !titles().join().includes(PASSWORD));
    expect(titles().length).toBeGreaterThan(1);
    await carol.stop();
    expect(await launched).toMatchObject({ exit: 0 });
    // A file that others may read is taken, with a warning.
    const outcome = await carol.weave("launch", "--password-file", file);
    expect(outcome).toMatchObject({ exit: 0, stderr: expect.stringContaining("chmod 600") });
    await lab.untilAllOk();
  });
});

const isMeeting =
  (count: number) =>
  ({ peers }: Status): boolean =>
    peers.filter(({ reachable }) => reachable).length === count;

/** Until a host is dialled again, in ms. */
const dueIn = (connections: Status["connections"], to: Host): number => {
  const nextTry = connections.find(({ address }) => address === to.address)?.nextTry;
  return nextTry === undefined ? 0 : Date.parse(nextTry) - Date.now();
};

/** How often the daemon logged such an event. */
const logged = (host: Host, kind: string): number =>
  readFileSync(join(host.runDir, "weaver.log"), "utf8")
    .split("\n")
    .filter((line) => line.includes(`"msg":"${kind}"`)).length;
