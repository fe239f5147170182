// The accept in tables of iptables-legacy.
import type { Host } from "../host.ts";
import { type Backend, deleteRules, insertCommands, insertRules, toolOf } from "./backend.ts";
import type { LegacyReader, LegacyTable } from "./legacy-table.ts";

/** Through `reader`, which belongs to the caller. */
export function iptablesLegacy(host: Host, reader: LegacyReader, family: 2 | 10): Backend {
  const name = family === 2 ? "iptables" : "ip6tables";
  const programs = [`${name}-legacy`, name];
  const tool = toolOf(host, programs);
  const read = (): LegacyTable | undefined => host.run(() => reader.read());
  const chainOf = (table: LegacyTable): string =>
    table.chains.includes("DOCKER-USER") ? "DOCKER-USER" : "FORWARD";
  return {
    where: `${name}-legacy`,
    async look(bridge) {
      const table = read();
      if (table?.drops !== true) return "none";
      const rules = table.accepts.filter(({ chain }) => chain === chainOf(table));
      const both = [rules.some((rule) => rule.iniface === bridge), rules.some((r) => r.outiface === bridge)];
      return both.every(Boolean) ? "there" : "missing";
    },
    async assert(bridge) {
      const table = read();
      return table === undefined ? [] : insertRules(tool, chainOf(table), bridge);
    },
    async commands(bridge) {
      const table = read();
      return insertCommands(programs, table === undefined ? "FORWARD" : chainOf(table), bridge);
    },
    async withdraw(bridge) {
      const rules = read()?.accepts ?? [];
      const chains = ["FORWARD", "DOCKER-USER"].filter((chain) =>
        rules.some((rule) => rule.chain === chain && [rule.iniface, rule.outiface].includes(bridge)),
      );
      return deleteRules(tool, chains, bridge);
    },
  };
}
