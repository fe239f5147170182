// Hosts whose passwords do not fit: told as such, and left alone until something changes.
import { describe, expect, it } from "vitest";
import type { PasswordCode } from "../connection.ts";
import type { Effect, Instant } from "../effects.ts";
import { seededRandom } from "../random.ts";
import { MAX_REFUSALS, PASSWORD_PAUSE_MS, REFUSAL_SHOWN_MS } from "./constants.ts";
import { introduction } from "./hello.ts";
import { Mesh } from "./mesh.ts";
import { hostOf } from "./password.ts";

const aMesh = (seed = 1): Mesh => new Mesh(introductionOf("alice"), seededRandom(seed));

const introductionOf = (name: string) =>
  introduction({
    ...{ software: "0.1.0", name, nickname: name, uid: `uid-of-${name}`, incarnation: `disk-of-${name}` },
    ...{ universes: ["10.32.0.0/12"], vni: 7, vxlanPort: 6784 },
  });

/** Numbers of the dials that are due. */
function dialsAt(mesh: Mesh, now: Instant): number[] {
  const out: Effect[] = [];
  mesh.tick(now, 0, out);
  return out.flatMap((effect) => (effect.type === "dial" ? [effect.dial] : []));
}

function refusedDial(mesh: Mesh, now: Instant, code: PasswordCode = "password-wrong"): void {
  for (const dial of dialsAt(mesh, now)) mesh.dialFailed(dial, "words", now, code);
}

/** bob dials in and introduces himself. */
function bobComesIn(mesh: Mesh, remoteAddress: string, now: Instant): void {
  const out: Effect[] = [];
  mesh.up({ type: "conn-up", conn: 1, remoteAddress, remotePort: 1, localAddress: "192.0.2.1" }, now, out);
  const link = mesh.link(1);
  if (link === undefined) throw new Error("no link");
  mesh.hello(link, { ...introductionOf("bob"), nonce: "000000000000" }, now, out);
}

const stranger = { type: "conn-refused", remoteAddress: "192.0.2.2" } as const;
const wrong = { code: "password-wrong", message: "words" };

describe("a host with another password", () => {
  it.each(["password-wrong", "password-missing-here", "password-missing-there"] as const)(
    "that was dialled (%s) is dialled again after minutes, however often it failed",
    (code) => {
      for (let seed = 1; seed <= 20; seed++) {
        const mesh = aMesh(seed);
        mesh.setTargets(["bob"], true, 0);
        let now = 0;
        for (let attempt = 0; attempt < 10; attempt++) {
          refusedDial(mesh, now, code);
          const [target] = mesh.targets();
          expect(target?.failure).toEqual({ code, message: "words", since: 0 });
          const pause = (mesh.nextDeadline() ?? 0) - now;
          expect(pause).toBeGreaterThanOrEqual(PASSWORD_PAUSE_MS / 2);
          // Or the other side would stop showing it meanwhile.
          expect(pause).toBeLessThan(REFUSAL_SHOWN_MS);
          now += pause;
        }
      }
    },
  );

  it("is dialled at once when the operator asks for it", () => {
    const mesh = aMesh();
    mesh.setTargets(["bob"], true, 0);
    refusedDial(mesh, 0);
    expect(dialsAt(mesh, 30_000)).toEqual([]);
    mesh.setTargets(["bob"], false, 30_000);
    expect(dialsAt(mesh, 30_000)).toHaveLength(1);
  });

  it.each(["192.0.2.2", "192.0.2.2:6783"])(
    "is dialled at once at %s when it has come in by itself",
    (target) => {
      const mesh = aMesh();
      mesh.setTargets([target, "192.0.2.3"], true, 0);
      refusedDial(mesh, 0);
      bobComesIn(mesh, "192.0.2.2", 1000);
      expect(mesh.targets().map(({ nextDial }) => nextDial > 1000)).toEqual([false, true]);
    },
  );

  it("that dialled is told once, with its address, for as long as it tries", () => {
    const mesh = aMesh();
    expect(mesh.refused({ ...stranger, reason: wrong }, 0)).toBe(true);
    expect(mesh.refused({ ...stranger, reason: wrong }, 10)).toBe(false);
    expect(mesh.refused({ ...stranger, reason: { code: "password-missing-there", message: "" } }, 20)).toBe(
      true,
    );
    expect(mesh.refusals(20)[0]).toEqual({
      ...{ address: "192.0.2.2", name: undefined, uid: undefined, inbound: true },
      ...{ ...wrong, since: 0, last: 10 },
    });
    expect(mesh.refusals(10 + REFUSAL_SHOWN_MS)).toHaveLength(1);
    expect(mesh.refused({ ...stranger, reason: wrong }, 10 + REFUSAL_SHOWN_MS)).toBe(true);
  });

  it("is not told any more once it came in", () => {
    const mesh = aMesh();
    mesh.refused({ ...stranger, reason: wrong }, 0);
    mesh.refused({ ...stranger, remoteAddress: "192.0.2.9", reason: wrong }, 0);
    bobComesIn(mesh, "192.0.2.2", 1000);
    expect(mesh.refusals(1000).map(({ address }) => address)).toEqual(["192.0.2.9"]);
  });

  it("cannot fill the memory", () => {
    const mesh = aMesh();
    for (let i = 0; i < 1000; i++) mesh.refused({ ...stranger, remoteAddress: `host${i}`, reason: wrong }, i);
    expect(mesh.refusals(1000)).toHaveLength(MAX_REFUSALS);
  });
});

describe("hostOf", () => {
  it.each([
    ["192.0.2.2", "192.0.2.2"],
    ["192.0.2.2:7000", "192.0.2.2"],
    ["bob.example.org:7000", "bob.example.org"],
    ["fd00::2", "fd00::2"],
    ["[fd00::2]", "fd00::2"],
    ["[fd00::2]:7000", "fd00::2"],
  ])("%s is at %s", (target, host) => {
    expect(hostOf(target)).toBe(host);
  });
});
