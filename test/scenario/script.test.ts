// The language itself: what is no step is refused with file and line, and a scenario that is wrong fails.
import { describe, expect, it } from "vitest";
import { perform } from "./perform.ts";
import { parseScript } from "./script.ts";

const script = (...lines: string[]) => parseScript("x.txt", ["# about x", ...lines].join("\n"));

describe("a scenario", () => {
  it("has a title, a range, seeds, hosts and steps", () => {
    const { steps, ...rest } = script(
      "range 10.40.0.0/16",
      "seeds 3 4",
      "",
      "alice> weave launch",
      "bob,h1..h2> weave launch alice --ipalloc-init seed=alice,bob --name b   # a comment",
      'bob> add c1 10.40.0.9 -> refused address-taken "held by c2"',
      "partition alice bob | h1..h2",
      "within 90s expect alice owns at least 7",
    );
    expect(rest).toEqual({
      file: "x.txt",
      title: "about x",
      range: "10.40.0.0/16",
      seeds: [3, 4],
      hosts: ["alice", "bob", "h1", "h2"],
    });
    expect(steps.map(({ line }) => line)).toEqual([5, 6, 7, 8, 9]);
    expect(steps.map(({ act }) => act)).toEqual([
      { kind: "command", hosts: ["alice"], command: { verb: "launch", peers: [], options: {} } },
      {
        kind: "command",
        hosts: ["bob", "h1", "h2"],
        command: { verb: "launch", peers: ["alice"], options: { init: "seed=alice,bob", name: "b" } },
      },
      {
        kind: "command",
        hosts: ["bob"],
        command: { verb: "add", containers: ["c1"], address: "10.40.0.9" },
        result: { kind: "refused", code: "address-taken", text: "held by c2" },
      },
      {
        kind: "partition",
        groups: [
          ["alice", "bob"],
          ["h1", "h2"],
        ],
      },
      {
        kind: "expect",
        fact: { kind: "owns", hosts: ["alice"], addresses: { least: 7, most: Number.POSITIVE_INFINITY } },
        withinMs: 90_000,
      },
    ]);
  });

  it.each([
    ["lunch alice", "is no step"],
    ["alice> weave lunch", 'there is no "weave lunch"'],
    ["alice> weave launch --wait", "no option --wait"],
    ["alice> weave launch --name", "--name needs a value"],
    ["alice> weave rmpeer", "which host?"],
    ["alice> add", "which container?"],
    ["alice> add c1 c2", '"c2" is not an address'],
    ["alice> add c1 -> 10.32.0.1 soon", '"soon" is too much'],
    ["alice> add c1 -> nope nope", "is too much"],
    ["alice> add c1 -> refused", "is not a code"],
    ["alice> add c1 -> refused no-ring because", "quotation marks"],
    ["alice> add c9..c1", "runs backwards"],
    ["Alice> add c1", "is no name of a host"],
    ["wait 5", "is no time"],
    ["wait", "is no time"],
    ["within 5s alice owns 1", "within TIME expect"],
    ["expect alice owns lots", "is no number"],
    ["expect alice is fine", "cannot be expected"],
    ["expect one ring please", '"ring" cannot be expected'],
    ["expect alice knows c1", "knows CONTAINER of HOST"],
    ["partition alice", "two sides"],
    ["lose disk alice", "lose disk of HOST"],
    ["lose next of alice", 'cannot lose "next"'],
    ["heal alice", "is too much"],
    ["alice> weave forget", "which host?"],
    ["alice> weave launch --conn-limit", "--conn-limit needs a value"],
    ["expect alice connected bob", "connected to HOST"],
    ["expect alice has few connections", "at most 3 connections"],
    ["expect alice targets", "which host?"],
    ["range 10.32.0.0/24", "before the first step"],
  ])("%s is refused with its place", (line, why) => {
    const parse = () => script("alice> weave launch", "", line);
    expect(parse).toThrow(why);
    expect(parse).toThrow(`x.txt:4: `);
  });

  it("names only hosts that are launched", () => {
    expect(() => script("alice> weave launch", "kill bob")).toThrow("x.txt:3: there is no host bob");
    expect(() => script("alice> weave launch bob")).toThrow("x.txt:2: there is no host bob");
    expect(() => script("alice> weave launch", "expect alice knows c1 of bob")).toThrow("no host bob");
  });

  it("is not empty, and says what it is about", () => {
    expect(() => script("heal # only")).not.toThrow();
    expect(() => script("range 10.32.0.0/24")).toThrow("has no steps");
    expect(() => parseScript("x.txt", "heal")).toThrow("does not say");
  });
});

/** Two hosts of one cluster, a container on each; c is launched later, or not. */
const WORLD = [
  "alice> weave launch",
  "bob> weave launch alice",
  "within 5s expect alice,bob own 128",
  "alice> add a1 -> 10.32.0.1",
  "bob> add b1 -> 10.32.0.128",
  "within 5s expect agreement",
];
const LATE = "carol> weave launch";

describe("an expectation", () => {
  it.each([
    "expect alice owns 128",
    "expect alice,bob own at least 128",
    "expect alice owns something",
    "expect alice,bob in one cluster",
    "expect one ring",
    "expect alice,bob show no problem",
    "expect alice shows no range-exhausted",
    "expect alice knows b1 of bob",
    "expect alice knows no b2 of bob",
    "expect alice holds a1 at 10.32.0.1",
    "expect alice holds no b1",
    "expect at most 1 ring entries per host",
    "alice> add a2 -> 10.32.0.2 at once",
    "alice> add a2 -> inside 10.32.0.0/25",
    'alice> add a1 -> refused ifname-exists "already has"',
    "alice> weave expose -> 10.32.0.2",
  ])("holds: %s", async (line) => {
    await perform(script(...WORLD, line), 1);
  });

  it.each([
    ["expect alice owns 127", "alice: owns 128"],
    ["expect alice,bob own nothing", "bob: owns 128"],
    ["expect alice owns at least 129", "alice: owns 128"],
    ["expect alice,bob in 2 clusters", "alice in "],
    ["expect alice without ring", "alice: in cluster"],
    ["expect alice shows range-exhausted", "alice: shows no problem"],
    ["expect alice shows problem", "alice: shows no problem"],
    ["expect alice knows no b1 of bob", "10.32.0.128 is of bob"],
    ["expect alice knows b2 of bob", "no such container"],
    ["expect alice holds a1 at 10.32.0.2", "alice: 10.32.0.1"],
    ["expect alice holds no a1", "alice: 10.32.0.1"],
    ["expect alice exposed at 10.32.0.1", "alice: exposed at nothing"],
    ["alice> add a2 -> 10.32.0.3", "alice: 10.32.0.2"],
    ["alice> add a2 -> inside 10.32.0.128/25", "alice: 10.32.0.2"],
    ["alice> add a2 -> refused no-ring", "alice: 10.32.0.2"],
    ["alice> add a2 10.32.0.130 -> at once", "alice: 10.32.0.130, after"],
    ['alice> add a2 10.32.0.1 -> refused address-taken "bob"', "is held"],
    ["alice> add a2 10.32.0.1", "refused address-taken"],
    ["alice> weave expose -> 10.32.0.9", "alice: 10.32.0.2"],
    ["alice> weave launch", "alice runs already"],
  ])("fails: %s", async (line, seen) => {
    const failure = expect(perform(script(...WORLD, line), 1)).rejects;
    await failure.toThrow(`x.txt:8: ${line}`);
    await expect(perform(script(...WORLD, line), 1)).rejects.toThrow(seen);
  });

  it("that rings or clusters are one fails when they are not", async () => {
    await expect(perform(script(...WORLD, LATE, "expect one ring"), 1)).rejects.toThrow("carol: 0-256:carol");
    await expect(perform(script(...WORLD, LATE, "expect alice,carol in one cluster"), 1)).rejects.toThrow(
      "carol in ",
    );
    await expect(
      perform(script(...WORLD, "kill bob", "alice> add a2", "expect agreement"), 1),
    ).resolves.toBeDefined();
    await expect(
      perform(script(...WORLD, "partition alice | bob", "alice> add a2", "expect agreement"), 1),
    ).rejects.toThrow("bob knows");
  });

  it("with a time is looked at until then, and not longer", async () => {
    const cut = [...WORLD, "partition alice | bob", "alice> add a2"];
    const stage = await perform(script(...cut, "heal", "within 1min expect agreement"), 1);
    expect(stage.schedule.now()).toBeLessThan(1_000_000 + 60_000);
    await expect(perform(script(...cut, "within 10s expect agreement"), 1)).rejects.toThrow("bob knows");
  });
});

describe("a failure", () => {
  it("tells place, title, what was seen, seed and the last events", async () => {
    const failed = perform(script(...WORLD, "", "expect alice owns 1"), 42).catch(
      (error: Error) => error.message,
    );
    const lines = `${await failed}`.split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "x.txt:9: expect alice owns 1",
      "    seen: alice: owns 128",
      "    in: about x",
      "    repeat: WEAVE_SEED=42 npm run test:scenario -- -t x",
    ]);
    expect(lines.slice(4).join("\n")).toContain("alice allocated");
  });

  it("repeats to the letter with its seed", async () => {
    const run = () =>
      perform(script(...WORLD, "expect alice owns 1"), 7).catch((error: Error) => error.message);
    expect(await run()).toBe(await run());
  });
});
