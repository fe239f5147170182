// How a user names addresses to expose, hide, attach and detach, in Weave Net's forms: 10.2.1.1/24 or ip:10.2.1.1/24,
// net:10.2.1.0/24, net:default; nothing is net:default.
import type { Wish } from "../../src/api/control.ts";
import { formatCidr, networkOf, parseCidr } from "../../src/core/address/cidr.ts";
import { whyNoHost } from "../../src/core/address/host-address.ts";
import { WeaveError } from "../../src/core/errors.ts";

/** For the help of verbs that take them. */
export const ADDRESS_FORMS =
  "10.2.1.1/24, ip:10.2.1.1/24, net:10.2.1.0/24 or net:default (which is meant without any)";

/** Whether a word is one of the forms, or tries to be; other words are targets. */
export const looksLikeAddress = (word: string): boolean =>
  /^(ip|net):/.test(word) || (/^[0-9a-fA-F:.]+\/\d+$/.test(word) && parseCidr(word) !== undefined);

/** Throws bad-address. `use`: the addresses are to be used, and must be such as a host can have. */
export function readWish(words: readonly string[], use: boolean): Wish {
  const forms = words.length === 0 ? ["net:default"] : words;
  const addresses: string[] = [];
  const subnets: string[] = [];
  for (const form of forms) {
    if (form.startsWith("net:")) subnets.push(readSubnet(form.slice("net:".length)));
    else addresses.push(readAddress(form.replace(/^ip:/, ""), use));
  }
  return { addresses, subnets };
}

function readAddress(text: string, use: boolean): string {
  const cidr = text.includes("/") ? parseCidr(text) : undefined;
  if (cidr === undefined)
    throw new WeaveError("bad-address", `"${text}" is not an address with its prefix length`, {
      hint: "write ADDRESS/LENGTH, for example 10.32.0.100/12, or nothing to have one allocated",
    });
  const why = use ? whyNoHost(cidr) : undefined;
  if (why === undefined) return text;
  throw new WeaveError("bad-address", `${text} ${why}`, { hint: "choose another address of the subnet" });
}

function readSubnet(text: string): string {
  if (text === "default") return text;
  const cidr = text.includes("/") ? parseCidr(text) : undefined;
  if (cidr !== undefined && networkOf(cidr).value === cidr.value) return formatCidr(cidr);
  throw new WeaveError("bad-address", `"net:${text}" is not a subnet`, {
    hint: "write net:NETWORK/LENGTH, for example net:10.32.4.0/24, or net:default",
  });
}
