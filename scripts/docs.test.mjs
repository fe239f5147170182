// Keeps docs/ honest where it lists what the code defines: codes, frames, constants, settings, links.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { CHECKS } from "../cmd/weave/doctor/checks/all.ts";
import { DOCTOR_CODES } from "../cmd/weave/doctor/finding.ts";
import { bySeverity } from "../cmd/weave/status/problems.ts";
import { CniCode, toCniError } from "../cni-plugin/errors.ts";
import { createMetrics } from "../src/adapters/metrics/metrics.ts";
import { problem, status } from "../src/api/status.ts";
import * as desk from "../src/core/endpoints/desk.ts";
import { ERROR_CODES, WeaveError } from "../src/core/errors.ts";
import { decodeBody, decodeFrame, MAX_ITEMS_PER_FRAME } from "../src/core/gossip/frames.ts";
import * as gossip from "../src/core/gossip/gossip.ts";
import * as ballot from "../src/core/ipam/ballot.ts";
import * as council from "../src/core/ipam/council.ts";
import * as departure from "../src/core/ipam/departure.ts";
import * as founding from "../src/core/ipam/founding.ts";
import * as pool from "../src/core/ipam/pool.ts";
import * as reclaim from "../src/core/ipam/reclaim.ts";
import * as roster from "../src/core/ipam/roster.ts";
import * as space from "../src/core/ipam/space.ts";
import * as takeover from "../src/core/ipam/takeover.ts";
import * as wants from "../src/core/ipam/wants.ts";
import * as mesh from "../src/core/mesh/constants.ts";
import { renderBridgeTable } from "../src/kernel/bridge-table.ts";
import { renderTable } from "../src/kernel/nftables.ts";
import * as sysctl from "../src/kernel/sysctl.ts";
import { repositoryRoot } from "./run.mjs";

const read = (path) => readFileSync(join(repositoryRoot, path), "utf8");

/** The part of a page under one heading, up to the next heading of any depth. */
function section(page, heading) {
  const found = read(page)
    .split(/^#+ /m)
    .find((part) => part.startsWith(`${heading}\n`));
  if (found === undefined) throw new Error(`${page} has no heading "${heading}"`);
  return found;
}

/** Rows of the tables in a text, as cells without backquotes; head and rule left out. */
function rows(text) {
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  const cells = lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("`", "")),
  );
  return cells.filter((row, i) => !/^-+$/.test(row[0]) && !/^-+$/.test(cells[i + 1]?.[0] ?? ""));
}

const first = (page, heading) => rows(section(page, heading)).map(([cell]) => cell);

describe("docs", () => {
  it("list every error code", () => {
    expect(first("docs/errors.md", "Codes").sort()).toEqual([...ERROR_CODES].sort());
  });

  it("list every CNI code, and which error becomes which", () => {
    const listed = rows(section("docs/errors.md", "CNI codes"));
    expect(listed.map(([number, name]) => [name, Number(number)])).toEqual(Object.entries(CniCode));
    const told = listed.flatMap(([number, , from]) =>
      from
        .split(", ")
        .filter(Boolean)
        .map((code) => [code, Number(number)]),
    );
    const real = ERROR_CODES.map((code) => [code, toCniError(new WeaveError(code, "")).code]);
    expect(told.sort()).toEqual(real.sort());
  });

  it("list every problem code, the most severe first", () => {
    const problems = problem.shape.code.options.map((code) => ({ code }));
    expect(first("docs/status.md", "Problem codes")).toEqual(bySeverity(problems).map(({ code }) => code));
  });

  it("list every check and code of doctor", () => {
    expect(first("docs/doctor.md", "Checks")).toEqual(CHECKS.map(({ name }) => name));
    expect(first("docs/doctor.md", "Codes").sort()).toEqual([...DOCTOR_CODES].sort());
  });

  it("name every part of a status", () => {
    const listed = section("docs/status.md", "JSON").matchAll(/^ {4}(\w.*?)(?: {2}|$)/gm);
    const names = [...listed].flatMap(([, part]) => part.split(", ").map((name) => /^\w+/.exec(name)?.[0]));
    expect(names.sort()).toEqual(Object.keys(status.shape).sort());
  });

  it("show frames that parse, one of every kind at least", () => {
    const blocks = [...read("docs/wire.md").matchAll(/^```json\n(.*?)^```/gms)].map((match) => match[1]);
    const texts = blocks.flatMap((block) => block.split(/\n(?=\{)/));
    const frames = texts.map((text) => decodeFrame(text));
    for (const [i, frame] of frames.entries()) expect(frame, texts[i]).toHaveProperty("t");
    const source = read("src/core/gossip/frames.ts");
    const kinds = (member) =>
      [...source.matchAll(new RegExp(`\\b${member}: z\\.literal\\("(.*?)"\\)`, "g"))].map((m) => m[1]);
    expect(kinds("t")).toContain("hello");
    expect(new Set(frames.map((frame) => frame.t))).toEqual(new Set(kinds("t")));
    const bodies = frames.filter((frame) => frame.t === "to").map((frame) => decodeBody(frame.body)?.k);
    expect(new Set(bodies)).toEqual(new Set(kinds("k")));
    expect(read("docs/wire.md")).toContain(MAX_ITEMS_PER_FRAME.toLocaleString("en"));
  });

  it("give the times the code has", () => {
    const constants = Object.assign(
      {},
      ...[mesh, gossip, desk, ballot, council, wants, roster, founding],
      ...[departure, takeover, reclaim, pool, space],
    );
    const listed = rows(section("docs/wire.md", "Times"));
    const real = Object.entries(constants).filter(
      ([name, value]) => /_MS$/.test(name) && typeof value === "number",
    );
    expect(Object.fromEntries(listed.map(([name, ms]) => [name, Number(ms)]))).toEqual(
      Object.fromEntries(real),
    );
  });

  it("list every sysctl", () => {
    const settings = Object.values(sysctl).flatMap((value) => {
      if (Array.isArray(value)) return value;
      if (typeof value !== "object") return [];
      return "key" in value ? [value] : Object.values(value);
    });
    const real = settings.map(({ key, value }) => `${key.replaceAll("/", ".")} ${value}`);
    const listed = rows(section("docs/sysctls.md", "Sysctls")).map(([key, value]) => `${key} ${value}`);
    expect(listed.sort()).toEqual(real.sort());
  });

  it("show the firewall table that is loaded", () => {
    const firewall = {
      bridge: "weave",
      vxlanPort: 6784,
      controlPort: 6783,
      controls: [],
      overlay: ["10.32.0.0/12"],
      masquerade: ["10.32.0.0/12"],
      exempt: [],
      portMaps: [],
      peers: ["192.0.2.2"],
      exposed: [4],
    };
    const loaded = renderTable(firewall).split("\n").slice(2).join("\n");
    expect(read("docs/sysctls.md")).toContain(`\`\`\`\n${loaded}\`\`\``);
    expect(read("docs/protection.md")).toContain(`\`\`\`\n${renderBridgeTable("weave")}\`\`\``);
  });

  it("list every verb and every metric", async () => {
    const verbs = first("docs/commands.md", "Commands").join(" ");
    const registered = read("cmd/weave/program.ts").matchAll(/^import \{ add(\w+) \}/gm);
    for (const [, verb] of registered) expect(verbs).toContain(`weave ${verb.toLowerCase()}`);
    const figures = { connections: [], peers: [], ipam: [], endpoints: [], problems: [], version: "1" };
    const { text } = await createMetrics(() => import("../src/adapters/metrics/exposition.ts")).scrape({
      ...figures,
      datapath: { mtu: 1, settled: true },
    });
    const real = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
    const listed = first("docs/metrics.md", "Metrics").flatMap((cell) => cell.split(", "));
    expect(listed.sort()).toEqual(real.sort());
  });

  it("link to files that exist", () => {
    const pages = readdirSync(join(repositoryRoot, "docs"), { recursive: true }).filter((name) =>
      name.endsWith(".md"),
    );
    const broken = ["README.md", "CONTRIBUTING.md", ...pages.map((name) => join("docs", name))].flatMap(
      (page) =>
        [...read(page).matchAll(/\]\(([^)#:]+)\)/g)]
          .map((match) => join(dirname(page), match[1]))
          .filter((target) => !existsSync(join(repositoryRoot, target)))
          .map((target) => `${page} -> ${target}`),
    );
    expect(pages.length).toBeGreaterThan(5);
    expect(broken).toEqual([]);
  });
});
