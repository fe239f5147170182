// Whether firewalld lets peers in, in the zone of the interface they come by.
import { defineCheck, statusOf, type Verdict } from "../check.ts";
import { ask } from "../facts/command.ts";
import type { Finding } from "../finding.ts";

export interface FirewalldFacts {
  /** Absent: firewalld is not installed or does not run. */
  readonly zone?: {
    readonly name: string;
    /** Of the underlay. */
    readonly interface: string;
    /** What `firewall-cmd --list-all` says of it. */
    readonly text: string;
  };
  readonly port: number;
}

export const firewalld = defineCheck<FirewalldFacts>(
  "firewalld",
  async (around) => {
    const { port } = around;
    const state = await ask("firewall-cmd", ["--state"]).catch(() => undefined);
    if (state === undefined) return { port };
    const { addresses, defaultSource } = await around.kernel("host");
    const underlay = (await statusOf(around))?.underlay ?? defaultSource?.address;
    const device = addresses.find(({ address }) => address === underlay)?.dev ?? "";
    const own = await ask("firewall-cmd", [`--get-zone-of-interface=${device}`]).catch(() => "");
    const name = own?.trim() || (await ask("firewall-cmd", ["--get-default-zone"]))?.trim() || "public";
    const text = (await ask("firewall-cmd", [`--zone=${name}`, "--list-all"])) ?? "";
    return { port, zone: { name, interface: device, text } };
  },
  judgeFirewalld,
);

export function judgeFirewalld({ zone, port }: FirewalldFacts): Verdict {
  if (zone === undefined) return { findings: [], saw: "does not run" };
  const lacking = [`${port}/tcp`, "6784/udp"].filter((each) => !isOpen(zone.text, each));
  const accepts = /^\s*target:\s*ACCEPT\s*$/m.test(zone.text);
  const saw = `zone ${zone.name}${zone.interface === "" ? "" : ` of ${zone.interface}`}`;
  if (accepts || lacking.length === 0) return { findings: [], saw };
  const add = lacking.map((each) => `--add-port=${each}`).join(" ");
  const finding: Finding = {
    code: "firewalld-ports",
    object: zone.name,
    message: `firewalld does not let peers in: its zone ${zone.name} has no port ${lacking.join(" and ")}`,
    command: `firewall-cmd --permanent --zone=${zone.name} ${add} && firewall-cmd --reload`,
  };
  return { findings: [finding], saw };
}

/** As a port, in a range of ports, or in a rich rule. */
function isOpen(text: string, wanted: string): boolean {
  const [number = "", protocol = ""] = wanted.split("/");
  const rich = new RegExp(`port="?${number}"?[^\\n]*protocol="?${protocol}"?[^\\n]*accept`);
  if (rich.test(text)) return true;
  const ports = /^\s*ports:(.*)$/m.exec(text)?.[1] ?? "";
  return ports.split(/\s+/).some((each) => {
    const [, from, to, kind] = /^(\d+)(?:-(\d+))?\/(\w+)$/.exec(each) ?? [];
    return kind === protocol && Number(from) <= Number(number) && Number(number) <= Number(to ?? from);
  });
}
