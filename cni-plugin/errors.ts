// CNI errors: the codes, the error object on stdout, and the one place where WeaveError codes become CNI
// codes.
import { type ErrorCode, WeaveError } from "../src/core/errors.ts";
import type { CniVersion } from "./versions.ts";

/** CNI specification 1.1.0, section 5 "Error" up to 99; from 100 on ours, listed in docs/errors.md. */
export const CniCode = {
  incompatibleVersion: 1,
  /** The message must contain key and value. */
  unsupportedField: 2,
  badEnvironment: 4,
  ioFailure: 5,
  decodeFailure: 6,
  badConfig: 7,
  /** The Go library's own: not a namespace, or the host's. */
  badNetns: 8,
  tryAgain: 11,
  notAvailable: 50,
  /** Also existing containers may be cut off. */
  degraded: 51,
  ifnameExists: 100,
  netnsMissing: 101,
  rangeExhausted: 102,
  addressUnavailable: 103,
  kernel: 104,
  checkFailed: 105,
  portTaken: 106,
  internal: 999,
} as const;

/**
 * An expected failure of a call, ready to be printed. `message` is one line and says what to do; `details` is
 * the offending value.
 */
export class CniError extends Error {
  override readonly name = "CniError";
  readonly code: number;
  readonly details: string | undefined;

  constructor(code: number, message: string, details?: string) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** Code 2; the message must have key and value. */
export function unsupported(key: string, value: unknown): CniError {
  return new CniError(
    CniCode.unsupportedField,
    `unsupported field in the network configuration: ${key}=${JSON.stringify(value)}`,
  );
}

const CODE_OF: Record<ErrorCode, number> = {
  "bad-request": CniCode.badConfig,
  "bad-address": CniCode.badConfig,
  "unknown-attachment": CniCode.checkFailed,
  "no-ring": CniCode.tryAgain,
  "range-exhausted": CniCode.rangeExhausted,
  "address-taken": CniCode.addressUnavailable,
  "address-elsewhere": CniCode.addressUnavailable,
  "port-taken": CniCode.portTaken,
  // Decisions are no plugin's business.
  "unknown-peer": CniCode.internal,
  "ambiguous-peer": CniCode.internal,
  "no-quorum": CniCode.internal,
  "no-heir": CniCode.internal,
  "unknown-cluster": CniCode.internal,
  "in-use": CniCode.internal,
  "netns-missing": CniCode.netnsMissing,
  "netns-invalid": CniCode.badNetns,
  "netns-host": CniCode.badNetns,
  "ifname-exists": CniCode.ifnameExists,
  kernel: CniCode.kernel,
  "feature-missing": CniCode.kernel,
  "range-overlap": CniCode.badConfig,
  "mtu-invalid": CniCode.badConfig,
  "already-running": CniCode.internal,
  "port-in-use": CniCode.internal,
  "not-running": CniCode.tryAgain,
  timeout: CniCode.tryAgain,
  cancelled: CniCode.tryAgain,
  "state-mismatch": CniCode.internal,
  storage: CniCode.ioFailure,
  internal: CniCode.internal,
};

/** Any thrown value as a CniError; what is neither CniError nor WeaveError is a bug of ours, code 999. */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof WeaveError) {
    return new CniError(
      CODE_OF[error.code],
      error.hint === undefined ? error.message : `${error.message}; ${error.hint}`,
    );
  }
  return new CniError(
    CniCode.internal,
    `internal error: ${error instanceof Error ? error.message : String(error)}`,
  );
}

/** The error object of the specification, one line of JSON. */
export function renderError(error: CniError, version: CniVersion): string {
  const msg = error.message.replaceAll(/\s*\n\s*/g, " ");
  const details = error.details === undefined ? {} : { details: error.details };
  return `${JSON.stringify({ cniVersion: version, code: error.code, msg, ...details })}\n`;
}
