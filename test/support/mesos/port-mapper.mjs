// `mesos-cni-port-mapper`, the plugin DC/OS puts in front of others: it calls the plugin in `delegate` with a
// configuration that has `name` and `args` of its own one, and **no cniVersion unless `delegate` names one**, then maps
// the ports of `args` to the address in the result's `ip4` with iptables. Rules are found again by their comment.
//
// Run through an executable that installPortMapper writes. Ends with 1 and an error object on stdout, codes 100-104.
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const Code = { badArgs: 101, delegate: 102, portMap: 103, unsupported: 104 };

class PluginError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

try {
  process.stdout.write(main() ?? "");
} catch (error) {
  const code = error instanceof PluginError ? error.code : 100;
  process.stdout.write(JSON.stringify({ code, msg: error.message }));
  process.exitCode = 1;
}

function main() {
  const command = variable("CNI_COMMAND");
  for (const name of ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"]) variable(name);
  const config = JSON.parse(readFileSync(0, "utf8"));
  for (const key of ["name", "chain"]) if (typeof config[key] !== "string") throw badArgs(`no '${key}'`);
  // Mesos always gives args; another caller's lack of it is mended, half of it is not.
  const args = config.args ?? { "org.apache.mesos": { network_info: {} } };
  const info = args["org.apache.mesos"]?.network_info;
  if (info === undefined) throw badArgs("no 'args{org.apache.mesos}{network_info}'");
  if (typeof config.delegate?.type !== "string") throw badArgs("no 'delegate' with a 'type'");
  const delegate = { ...config.delegate, name: config.name, args };
  if (command === "ADD") return add(config, delegate, info);
  if (command === "DEL") return del(config, delegate);
  throw new PluginError(Code.unsupported, `unsupported command ${command}`);
}

function add(config, delegate, info) {
  const result = JSON.parse(call(delegate));
  if (typeof result.ip4?.ip !== "string") {
    throw new PluginError(Code.delegate, `delegate ${delegate.type} did not return an IPv4 address`);
  }
  const address = result.ip4.ip.split("/")[0];
  if ((info.port_mappings ?? []).length > 0) ensureChain(config.chain);
  for (const mapping of info.port_mappings ?? []) addRule(config, address, mapping);
  // Written anew from what the mapper understood.
  return JSON.stringify({ ip4: result.ip4, ip6: result.ip6, dns: result.dns });
}

/** Rules first: the address may belong to another container as soon as the delegate has released it. */
function del(config, delegate) {
  if (iptables("--list", config.chain)) {
    const rules = execFileSync("iptables", ["-w", "-t", "nat", "-S", config.chain], { encoding: "utf8" });
    for (const rule of rules.split("\n").filter((line) => line.includes(`"${tag()}"`))) {
      // The comment is the only word with blanks.
      const words = rule.match(/"[^"]*"|\S+/g).map((word) => word.replaceAll('"', ""));
      if (!iptables("-D", ...words.slice(1))) throw new PluginError(Code.portMap, `cannot remove ${rule}`);
    }
  }
  call(delegate);
}

function ensureChain(chain) {
  if (iptables("--list", chain)) return;
  const local = ["-m", "addrtype", "--dst-type", "LOCAL", "-j", chain];
  const made =
    iptables("-N", chain) &&
    iptables("-A", "PREROUTING", ...local) &&
    iptables("-A", "OUTPUT", "!", "-d", "127.0.0.0/8", ...local);
  if (!made) throw new PluginError(Code.portMap, `cannot make chain ${chain}`);
}

function addRule({ chain, excludeDevices }, address, mapping) {
  const protocol = (mapping.protocol ?? "tcp").toLowerCase();
  // Only the last device counts, in the original too.
  const device = excludeDevices?.at(-1);
  const rule = [
    ...[chain, ...(device === undefined ? [] : ["!", "-i", device]), "-p", protocol, "-m", protocol],
    ...["--dport", String(mapping.host_port), "-m", "comment", "--comment", tag()],
    ...["-j", "DNAT", "--to-destination", `${address}:${mapping.container_port}`],
  ];
  if (!iptables("-C", ...rule) && !iptables("-A", ...rule)) {
    throw new PluginError(Code.portMap, `cannot map port ${mapping.host_port}`);
  }
}

function iptables(...words) {
  return spawnSync("iptables", ["-w", "-t", "nat", ...words], { stdio: "ignore" }).status === 0;
}

function call(delegate) {
  const path = process.env.CNI_PATH.split(":")
    .map((dir) => join(dir, delegate.type))
    .find((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
  if (path === undefined) throw badArgs(`could not find the delegate plugin '${delegate.type}'`);
  const { status, stdout, stderr } = spawnSync(path, { input: JSON.stringify(delegate), encoding: "utf8" });
  process.stderr.write(stderr);
  if (status === 0) return stdout;
  throw new PluginError(Code.delegate, `could not execute the delegate plugin: ${stdout}${stderr}`);
}

function tag() {
  return `container_id: ${process.env.CNI_CONTAINERID}`;
}

function variable(name) {
  const value = process.env[name];
  if (value === undefined) throw badArgs(`Unable to find environment variable '${name}'`);
  return value;
}

function badArgs(message) {
  return new PluginError(Code.badArgs, message);
}
