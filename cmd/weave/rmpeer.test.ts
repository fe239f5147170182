import { describe, expect, test } from "vitest";
import { type Status, status } from "../../src/api/status.ts";
import { ownRunDir } from "../../test/support/run-dir.ts";
import { weave } from "./testing/harness.ts";
import { healthy } from "./testing/statuses.ts";

const ALICE = "7a:01:02:03:04:05";
const BOB = "7a:01:02:03:04:06";
const SINCE = "2026-01-31T11:00:00.123Z";

const decided = { cluster: "c0ffee00", epoch: 2, heir: ALICE, removed: [BOB], already: [] };

const runDir = ownRunDir();

/** A daemon that decides as told. */
async function serve(answer: readonly [number, unknown], now: Status = healthy): Promise<void> {
  await runDir.serve({ "/v1/status": [200, now], "/v1/rmpeer": answer });
}

const asked = (): string[] => runDir.calls.filter((call) => call.includes("/v1/rmpeer"));

describe("a removal", () => {
  test("tells who is gone, since which epoch, and who has the addresses", async () => {
    await serve([200, decided]);
    const { stdout, stderr, code } = await weave(["rmpeer", "bob"]);
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    expect(stdout).toBe(`removed   7a:01:02:03:04:06(bob); decided in epoch 2
ranges    524287 addresses of 10.32.0.0/12 (50.0%) go to 7a:01:02:03:04:05(alice) (this host)
next      weave status ipam
`);
    expect(asked()).toEqual([`POST /v1/rmpeer {"peers":["bob"],"force":false,"confirm":[]}`]);
  });

  test("tells whom the heir waits for", async () => {
    const [range] = healthy.ipam;
    const taking = { addresses: 524287, of: [BOB], heir: ALICE, waitingFor: ["7a:01:02:03:04:07"] };
    const peers = healthy.peers.map((peer) =>
      peer.nickname === "carol" ? { ...peer, reachable: false, unreachableSince: SINCE } : peer,
    );
    await serve([200, decided], status.parse({ ...healthy, peers, ipam: [{ ...range, taking }] }));
    const { stdout } = await weave(["rmpeer", "bob"]);
    expect(stdout.replace(/\s+/g, " ")).toContain(
      "waiting until every host that stays has answered: 7a:01:02:03:04:07(carol) (unreachable since 2026-01-31T11:00:00Z)",
    );
    expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([]);
  });

  test("that was decided elsewhere names who won", async () => {
    await serve([200, { ...decided, heir: "7a:01:02:03:04:07", removed: [], already: [BOB] }]);
    const { stdout, code } = await weave(["rmpeer", BOB]);
    expect(code).toBe(0);
    expect(stdout).toContain("before    7a:01:02:03:04:06(bob): removed already; epoch 2\n");
    expect(stdout).toContain("go to 7a:01:02:03:04:07(carol)\n");
  });

  test("as JSON is the daemon's answer", async () => {
    await serve([200, decided]);
    expect(JSON.parse((await weave(["rmpeer", "--json", "bob"])).stdout)).toEqual(decided);
  });

  test.each([
    ["no-quorum", 503, "1 of 2 voters answers, 2 must; missing: bob since 2026-01-31T11:00:00Z"],
    ["unknown-peer", 404, "there is no peer dave"],
    ["ambiguous-peer", 409, "bob may be 7a:01:02:03:04:06 or 7a:01:02:03:04:09"],
  ])("that is refused (%s) says why and what to do, with 1", async (code, http, message) => {
    await serve([http, { code, message, hint: "run: weave status ipam" }]);
    expect(await weave(["rmpeer", "bob"])).toEqual({
      stdout: "",
      stderr: `weave: ${message}\n  run: weave status ipam\n`,
      code: 1,
    });
  });
});

describe("--force", () => {
  test("sends what was confirmed, and tells of the cluster that continues", async () => {
    await serve([200, { ...decided, cluster: "d00d" }]);
    const { stdout } = await weave(["rmpeer", "--force", "bob", "--confirm", "bob"]);
    expect(asked()).toEqual([`POST /v1/rmpeer {"peers":["bob"],"force":true,"confirm":["bob"]}`]);
    expect(stdout).toContain("\ncluster   d00d, which continues c0ffee00: ");
  });

  test("asks a person to type the names once more, with what is known of them", async () => {
    const peers = healthy.peers.map((peer) =>
      peer.nickname === "bob" ? { ...peer, reachable: false, unreachableSince: SINCE } : peer,
    );
    await serve([200, decided], { ...healthy, peers });
    const { stderr, code } = await weave(["rmpeer", "--force", "bob"], undefined, " bob \n");
    expect(code).toBe(0);
    expect(stderr).toContain(
      "7a:01:02:03:04:06(bob): unreachable since 2026-01-31T11:00:00Z, 0 containers known",
    );
    expect(stderr).toContain("type the names to remove once more: ");
    expect(asked()).toEqual([`POST /v1/rmpeer {"peers":["bob"],"force":true,"confirm":["bob"]}`]);
  });

  test("warns of a host that answers", async () => {
    await serve([200, decided]);
    expect((await weave(["rmpeer", "--force", "bob"], undefined, "bob")).stderr).toContain(
      "it answers this host!",
    );
  });

  test("without anybody to ask changes nothing, and says how a script does it", async () => {
    await serve([200, decided]);
    const { stdout, stderr, code } = await weave(["rmpeer", "--force", "bob", BOB]);
    expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
    expect(stderr).toContain(`run: weave rmpeer --force bob ${BOB} --confirm bob ${BOB}`);
    expect(asked()).toEqual([]);
  });

  test("is what --confirm is for", async () => {
    await serve([200, decided]);
    expect(await weave(["rmpeer", "bob", "--confirm", "bob"])).toMatchObject({ code: 2, stdout: "" });
    expect(asked()).toEqual([]);
  });
});
