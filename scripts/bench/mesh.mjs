// `npm run bench:mesh [PEERS:LIMIT...]`: what a mesh that discovery makes costs each host, by the number of hosts and the
// limit of connections. The real core in simulated time: the figures do not depend on the machine. Prints the rows of the
// table in docs/decisions/0010-discovery-and-the-limit-of-connections.md, and looks at nothing else.
import { runProgram } from "../sim.mjs";

/** Some minutes; 200 hosts with 200 connections alone take most of them. */
const DEFAULT = ["50:16", "50:32", "50:200", "200:16", "200:32", "200:200"];

const wanted = process.argv.slice(2);
process.stdout.write(
  "| hosts | limit | connections | cold start | a minute at rest | one container | one restart |\n|---|---|---|---|---|---|---|\n",
);
for (const pair of wanted.length === 0 ? DEFAULT : wanted) {
  const { code, output } = await runProgram("test/bench/mesh.ts", pair.split(":"), { capture: true });
  if (code !== 0) throw new Error(`the simulator ended with ${code}: ${output}`);
  const { peers, limit, links, kibPerHost: kib } = JSON.parse(output.trim().split("\n").at(-1));
  const cells = [
    peers,
    limit,
    `${links.least} to ${links.most}`,
    kib.coldStart,
    kib.perMinuteAtRest,
    kib.oneContainer,
    kib.oneRestart,
  ];
  process.stdout.write(`| ${cells.join(" | ")} |\n`);
}
