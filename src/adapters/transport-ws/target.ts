// Dial targets as a user writes them, turned into the URL that is dialled.
// Owns the syntax only; whether a name resolves is found out by dialling.
import { isIP, isIPv4 } from "node:net";

/** The path of the control protocol, on the listener and in every URL that is dialled. */
export const MESH_PATH = "/weave";

// Host names as resolvers take them: letters, digits, "-", "_" and dots, 253 characters at most (RFC 1035).
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/;
const BRACKETED = /^\[([^\]]*)\](?::([0-9]{1,5}))?$/;
const PLAIN = /^([^:]*)(?::([0-9]{1,5}))?$/;

/**
 * The URL for "host", "host:port", "1.2.3.4:port", "[v6]", "[v6]:port" or a bare IPv6 address.
 * `undefined` when the text is none of these. Zone indexes ("fe80::1%eth0") are refused: they mean nothing to
 * another host, and a target is gossiped.
 */
export function targetUrl(target: string, defaultPort: number): string | undefined {
  if (isV6(target)) return url(`[${target}]`, undefined, defaultPort);
  const bracketed = BRACKETED.exec(target);
  if (bracketed) {
    const [, host = "", port] = bracketed;
    return isV6(host) ? url(`[${host}]`, port, defaultPort) : undefined;
  }
  const plain = PLAIN.exec(target);
  if (!plain) return undefined;
  const [, host = "", port] = plain;
  return isIPv4(host) || isHostName(host) ? url(host, port, defaultPort) : undefined;
}

/** An address as the rest of weave knows it: a dual-stack socket reports IPv4 peers as "::ffff:1.2.3.4". */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(.*)$/i.exec(address)?.[1];
  return mapped !== undefined && isIPv4(mapped) ? mapped : address;
}

function isV6(text: string): boolean {
  return isIP(text) === 6 && !text.includes("%");
}

// A name whose last label is a number would be read as an IPv4 address in one of its old notations
// ("10.1", "0x7f.1", "010.0.0.1"); what a user meant by it is unclear, so it is refused.
function isHostName(text: string): boolean {
  return HOST_NAME.test(text) && !/(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$/i.test(text);
}

function url(host: string, port: string | undefined, defaultPort: number): string | undefined {
  const number = port === undefined ? defaultPort : Number(port);
  if (number < 1 || number > 65535) return undefined;
  const text = `ws://${host}:${number}${MESH_PATH}`;
  // Refuses what only looks like a name, such as punycode that decodes to nothing.
  return URL.canParse(text) ? text : undefined;
}
