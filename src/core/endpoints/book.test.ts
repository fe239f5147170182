import { describe, expect, it } from "vitest";
import type { AllocationRecord } from "../records.ts";
import { Book, holderOf, toAttachment } from "./book.ts";

const key = (containerId: string) => ({ network: "weave", containerId, ifname: "eth0" });
const moment = { bootId: "b", bootMs: 1 };
const record = (containerId: string, slot: string): AllocationRecord => ({
  ...key(containerId),
  addresses: ["10.32.0.5/12"],
  slot,
  moment,
  committed: true,
});
const add = (book: Book, containerId: string): string =>
  book.add(key(containerId), ["10.32.0.5/12"], moment, {}).slot;

describe("Book", () => {
  it("finds a container by network, id and interface", () => {
    const book = new Book();
    add(book, "c1");
    expect(book.find(key("c1"))?.addresses).toEqual(["10.32.0.5/12"]);
    for (const other of [key("c2"), { ...key("c1"), ifname: "eth1" }, { ...key("c1"), network: "other" }]) {
      expect(book.find(other), holderOf(other)).toBeUndefined();
    }
  });

  it("finds a container by the MAC it has now", () => {
    const book = new Book();
    book.restore([{ ...record("c1", "0"), mac: "02:00:00:00:00:01" }]);
    const restored = book.find(key("c1"));
    expect(book.findByMac("02:00:00:00:00:01")).toBe(restored);
    if (restored === undefined) throw new Error("c1 is gone");
    book.commit(restored, { link: { mac: "02:00:00:00:00:02", hostIfname: "vw1", hairpin: true } });
    expect(book.findByMac("02:00:00:00:00:01")).toBeUndefined();
    expect(book.findByMac("02:00:00:00:00:02")?.containerId).toBe("c1");
    book.remove(restored);
    expect(book.findByMac("02:00:00:00:00:02")).toBeUndefined();
  });

  it("uses a freed slot again before it opens a new one", () => {
    const book = new Book();
    expect(["c1", "c2", "c3"].map((id) => add(book, id))).toEqual(["0", "1", "2"]);
    book.remove(record("c2", "1"));
    expect(book.size).toBe(2);
    expect([add(book, "c4"), add(book, "c5")]).toEqual(["1", "3"]);
  });

  it("frees a slot once, however often it is told", () => {
    const book = new Book();
    add(book, "c1");
    book.remove(record("c1", "0"));
    book.remove(record("c1", "0"));
    expect([add(book, "c2"), add(book, "c3")]).toEqual(["0", "1"]);
  });

  it("fills the gaps of the last life first, lowest first, and never gives a slot twice", () => {
    const book = new Book();
    book.restore([record("c1", "1"), record("c2", "4")]);
    const slots = ["c3", "c4", "c5", "c6", "c7"].map((id) => add(book, id));
    expect(slots).toEqual(["0", "2", "3", "5", "6"]);
    expect(book.size).toBe(7);
  });

  it("restored from nothing starts at the first slot", () => {
    const book = new Book();
    book.restore([]);
    expect(add(book, "c1")).toBe("0");
  });

  it("commit keeps slot and addresses, and adds what ADD found out", () => {
    const book = new Book();
    const held = book.add(key("c1"), ["10.32.0.5/12"], moment, { masquerade: false });
    expect(held.committed).toBe(false);
    const link = { mac: "02:a0:0a:20:00:05", hostIfname: "vethwe1", hairpin: true };
    const committed = { ...held, ...link, netns: "4026532000", committed: true };
    expect(book.commit(held, { netns: "4026532000", link })).toEqual(committed);
    expect(book.find(key("c1"))).toMatchObject({
      slot: "0",
      committed: true,
      mac: link.mac,
      masquerade: false,
    });
    expect(book.size).toBe(1);
  });

  it("an attachment shows all but the slot", () => {
    const { slot: _, ...rest } = record("c1", "0");
    expect(toAttachment(record("c1", "0"))).toEqual(rest);
  });
});
