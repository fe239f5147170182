// What two peers tell each other when their passwords do not fit, while nothing encrypted exists between them: a TLS alert
// or an HTTP status; and the reading of both. None of it is authentic: it is for people, and decides only when to dial again.
import type { CloseReason, PasswordCode } from "../../core/connection.ts";
import { MESH_PROTOCOL, TLS_HANDSHAKE } from "./psk.ts";

interface Refusal extends CloseReason {
  readonly code: PasswordCode;
}

export const PASSWORD_WRONG: Refusal = {
  code: "password-wrong",
  message: "the passwords of the two hosts differ; launch one of them again with the other's",
};
export const PASSWORD_MISSING_HERE: Refusal = {
  code: "password-missing-here",
  message: "the other host has a password and this one has none; launch this one again with --password-file",
};
export const PASSWORD_MISSING_THERE: Refusal = {
  code: "password-missing-there",
  message: "the other host has no password and this one has; launch the other again with --password-file",
};

/** Alerts of RFC 5246 section 7.2 and RFC 4279 section 2. */
const ALERT = { badRecordMac: 20, decryptError: 51, unknownPskIdentity: 115 } as const;

/**
 * From a listener without a password to a peer that begins with TLS: a fatal alert, in a record of its own
 * (RFC 5246 section 6.2.1: type, version, length; level, description). There is no identity it would know.
 */
export const NO_PASSWORD_ALERT: Uint8Array = Uint8Array.of(0x15, 3, 3, 0, 2, 2, ALERT.unknownPskIdentity);

/** From a listener with a password to a peer that begins without TLS. */
export const NEEDS_PASSWORD = {
  status: 401,
  lines: "401 Unauthorized\r\nWWW-Authenticate: weave-password",
} as const;

/** Whether the first bytes of a TLS connection are a peer's, not a port scanner's. */
export function isPeerHello(first: Uint8Array): boolean {
  return first[0] === TLS_HANDSHAKE && Buffer.from(first).includes(MESH_PROTOCOL);
}

/** Why a TLS handshake of a dial failed, where that is about passwords. OpenSSL tells the number of the alert it got. */
export function refusedByAlert(error: Error): Refusal | undefined {
  const [, number] = /SSL alert number (\d+)/.exec(error.message) ?? [];
  switch (Number(number)) {
    case ALERT.badRecordMac:
    case ALERT.decryptError:
      return PASSWORD_WRONG;
    case ALERT.unknownPskIdentity:
      return PASSWORD_MISSING_THERE;
    default:
      return undefined;
  }
}

/** Whether the dialling side of a failed TLS handshake had a key, and another one. Its first encrypted message is unreadable. */
export function isWrongKey(error: Error): boolean {
  return "code" in error && error.code === "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC";
}
