// The files a container gets from the results of its networks: /etc/hosts with its first IPv4 address, and
// /etc/resolv.conf when any network names a name server.
import type { PluginResult } from "./spec.ts";

export function hostsFile(hostname: string, results: readonly PluginResult[]): string {
  const ip = results.map(({ ip4 }) => ip4?.ip).find((text) => text !== undefined);
  return `127.0.0.1 localhost\n${ip === undefined ? "" : `${withoutPrefix(ip)} ${hostname}\n`}`;
}

/** undefined: no network names a server, the container gets the host's file. Of `domain` the last network's counts. */
export function resolvFile(results: readonly PluginResult[]): string | undefined {
  const all = results.flatMap(({ dns }) => (dns ? [dns] : []));
  const servers = all.flatMap(({ nameservers }) => nameservers ?? []);
  if (servers.length === 0) return undefined;
  const domain = all.findLast((dns) => dns.domain)?.domain;
  const search = all.flatMap((dns) => dns.search ?? []);
  const options = all.flatMap((dns) => dns.options ?? []);
  return [
    ...(domain ? [`domain ${domain}`] : []),
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
    ...servers.map((server) => `nameserver ${server}`),
    "",
  ].join("\n");
}

export function withoutPrefix(ip: string): string {
  return ip.split("/")[0] ?? ip;
}
