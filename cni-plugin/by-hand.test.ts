import { beforeEach, describe, expect, it } from "vitest";
import type { WeaveError } from "../src/core/errors.ts";
import type { HandLink, HandWish } from "./by-hand.ts";
import { Harness, NOTHING_LEFT } from "./testing/harness.ts";

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});

const { signal } = new AbortController();
const target = { ident: "c1", netns: { path: "/run/netns/c1" } };
const wish = (given: Partial<HandWish>): HandWish => ({ addresses: [], subnets: [], ...given });
const attach = (given: Partial<HandWish>) => harness.plugin.attach(target, wish(given), signal);
const detach = (given: Partial<HandWish>, who: { ident: string } = target) =>
  harness.plugin.detach(who, wish(given), signal);
const places = (links: readonly HandLink[]) =>
  links.map(({ ifname, addresses }) => `${ifname} ${addresses.join()}`);
const failure = async (work: Promise<unknown>): Promise<WeaveError> =>
  work.then(
    () => Promise.reject(new Error("it was accepted")),
    (error: WeaveError) => error,
  );

describe("attach", () => {
  it("gives an address without a gateway, a way out or an exposure", async () => {
    expect(places(await attach({ subnets: ["default"] }))).toEqual(["ethwe 10.32.0.2/12"]);
    expect([...harness.kernel.links.values()][0]?.routes).toEqual([]);
    expect(harness.attachments.asked).toEqual([]);
    expect(harness.kernel.open).toBe(0);
  });

  it("is idempotent, and one subnet is one interface", async () => {
    const all = { addresses: ["10.2.1.1/24", "10.2.1.2/24", "10.3.1.1/24"], subnets: ["10.32.4.0/24"] };
    const first = places(await attach(all));
    expect(first).toEqual(["ethwe 10.2.1.1/24,10.2.1.2/24", "ethwe1 10.3.1.1/24", "ethwe2 10.32.4.2/24"]);
    expect(places(await attach(all))).toEqual(first);
    expect(places(await attach({ addresses: ["10.4.1.1/24"] }))).toEqual(["ethwe3 10.4.1.1/24"]);
  });

  it("is all or nothing", async () => {
    harness.attachments.size = 0;
    const error = await failure(attach({ addresses: ["10.2.1.1/24"], subnets: ["10.32.4.0/24"] }));
    expect(error.code).toBe("range-exhausted");
    expect(harness.residue()).toEqual(NOTHING_LEFT);
  });

  it.each(["10.2.1.0/24", "10.2.1.255/24", "10.2.1.1/31", "10.2.1.1"])("refuses %s", async (address) => {
    expect((await failure(attach({ addresses: [address] }))).code).toBe("bad-address");
    expect(harness.residue()).toEqual(NOTHING_LEFT);
  });

  it("knows a namespace again under another name, and gives a name only once", async () => {
    await attach({ addresses: ["10.2.1.1/24"] });
    const pid = { ident: "pid-7", netns: { path: "/run/netns/c1" } };
    const [again] = await harness.plugin.attach(pid, wish({ addresses: ["10.2.1.1/24"] }), signal);
    expect(again?.ident).toBe("c1");
    harness.kernel.netns.set("/elsewhere/c1", "ns-2");
    const other = { ident: "c1", netns: { path: "/elsewhere/c1" } };
    const [link] = await harness.plugin.attach(other, wish({ addresses: ["10.2.1.2/24"] }), signal);
    expect(link?.ident).toBe("netns-ns-2");
  });

  it("frees what a container had before it was started again", async () => {
    await attach({ addresses: ["10.2.1.1/24"] });
    harness.kernel.dead.add("ns-1");
    harness.kernel.netns.set("/run/netns/c1", "ns-2");
    expect(places(await attach({ addresses: ["10.2.1.1/24"] }))).toEqual(["ethwe 10.2.1.1/24"]);
    expect(harness.attachments.held.size).toBe(1);
  });
});

describe("detach", () => {
  it("takes off what is named, and only that; never allocates", async () => {
    await attach({ addresses: ["10.2.1.1/24", "10.3.1.1/24"] });
    expect(places(await detach({ addresses: ["10.2.1.1/24", "10.9.9.9/24"] }))).toEqual([
      "ethwe 10.2.1.1/24",
    ]);
    expect(await detach({ addresses: ["10.2.1.1/24"] })).toEqual([]);
    expect(await detach({ subnets: ["default", "10.32.4.0/24"] })).toEqual([]);
    expect([...harness.attachments.held.keys()]).toEqual(["weave-attach/c1/ethwe1"]);
  });

  it("works for a container that runs no more", async () => {
    await attach({ addresses: ["10.2.1.1/24"] });
    expect(places(await detach({ addresses: ["10.2.1.1/24"] }, { ident: "c1" }))).toEqual([
      "ethwe 10.2.1.1/24",
    ]);
    expect(harness.residue()).toEqual(NOTHING_LEFT);
  });

  it("does not take along what was not named", async () => {
    await attach({ addresses: ["10.2.1.1/24", "10.2.1.2/24"] });
    const error = await failure(detach({ addresses: ["10.2.1.1/24"] }));
    expect(error.message).toBe("10.2.1.2/24 would go, too: ethwe of c1 has 10.2.1.1/24 and 10.2.1.2/24");
    expect(harness.attachments.held.size).toBe(1);
  });
});

it("is not touched by the GC of a runtime, and freed when its namespace vanishes", async () => {
  await attach({ subnets: ["default"] });
  await harness.call("GC", { config: { "cni.dev/valid-attachments": [] } });
  expect(harness.attachments.held.size).toBe(1);
  harness.kernel.links.clear();
  harness.kernel.dead.add("ns-1");
  await harness.plugin.reconcile();
  expect(harness.attachments.held.size).toBe(0);
});
