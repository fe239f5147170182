// `weave status cni` as text: a verdict, what to do, and the two tables behind it.
import type { Finding } from "../../cni/finding.ts";
import { spanOf } from "../../cni/versions.ts";
import { MAX_COLUMNS } from "../../context.ts";
import { plain, wrap } from "../../text.ts";
import { type Column, table } from "../table.ts";
import type { CniReport } from "./report.ts";

type File = CniReport["files"][number];
type Plugin = CniReport["plugins"][number];

const FILES: readonly Column<File>[] = [
  { title: "", cell: ({ state }) => (state === "used" ? "->" : "") },
  { title: "FILE", cell: ({ name }) => name, least: 16 },
  { title: "STATE", cell: ({ state }) => state },
  { title: "NETWORK", cell: ({ network }) => network ?? "-", least: 8 },
  { title: "CNI", cell: ({ versions }) => (versions.length === 0 ? "-" : versions.join(" ")), least: 12 },
  { title: "PLUGINS", cell: ({ plugins }) => plugins.join(" ") || "-", least: 16, optional: true },
];

const PLUGINS: readonly Column<Plugin>[] = [
  { title: "PLUGIN", cell: ({ type }) => type, least: 12 },
  { title: "STATE", cell: ({ state }) => state, least: 14 },
  { title: "CNI", cell: ({ versions }) => (versions.length === 0 ? "-" : spanOf(versions)) },
  { title: "PATH", cell: ({ path }) => path ?? "-", least: 24, optional: true },
];

/** The whole text, without the last newline. */
export function renderCni(report: CniReport): string {
  const { ok, verdict, problems, notes, confDir, files, binDirs, plugins } = report;
  const blocks = [
    [`${ok ? "OK" : "PROBLEM"}: ${plain(verdict)}`, ...problems.map((each) => findingText("", each))].join(
      "\n",
    ),
    ...(notes.length === 0 ? [] : [notes.map((each) => findingText("note ", each)).join("\n")]),
    `${wrap(`configurations in ${confDir}, in the order of kubelet, containerd and CRI-O`, MAX_COLUMNS, "  ")}\n${
      files.length === 0 ? "none" : table(FILES, files, reason)
    }`,
    `${wrap(`plugins, looked for in ${binDirs.join(" and ")}`, MAX_COLUMNS, "  ")}\n${table(PLUGINS, plugins)}`,
    ...forwarderText(report),
  ];
  return blocks.join("\n\n");
}

/** The command stands alone in its line, whole. */
function findingText(prefix: string, { code, message, command }: Finding): string {
  return `${wrap(`  ${prefix}${code}: ${message}`, MAX_COLUMNS, "    ")}\n    run: ${plain(command)}`;
}

function reason({ reason: text }: File): string[] {
  return text === undefined ? [] : [wrap(`    ${text}`, MAX_COLUMNS, "    ")];
}

function forwarderText({ forwarder }: CniReport): string[] {
  if (forwarder === undefined) return [];
  const { path, version, socket, daemon } = forwarder;
  const build = version === undefined ? "not from this weave" : `weave ${version}`;
  const answers = daemon === undefined ? "nobody answers" : `weaver ${daemon.version}, process ${daemon.pid}`;
  return [wrap(`weave-net: ${build}, ${path}\nits daemon: ${answers}, ${socket}`, MAX_COLUMNS, "  ")];
}
