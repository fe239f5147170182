// Kernel errors as WeaveErrors: operation, object and errno name, in the message for people and in `fields` for code.
import { getSystemErrorName } from "node:util";
import { WeaveError } from "../../core/errors.ts";

/** What a request was about, for the error it may become: "link add" of "vethwe0a1b". */
export interface Subject {
  readonly operation: string;
  readonly object: string;
}

/** Name of a positive errno: 19 -> "ENODEV", 95 -> "ENOTSUP" (libuv's name of EOPNOTSUPP). Unnamed ones: "E4242". */
export function errnoName(errno: number): string {
  if (errno <= 0) return `E${errno}`;
  const name = getSystemErrorName(-errno);
  return /^E[A-Z0-9]+$/.test(name) ? name : `E${errno}`;
}

/** A refused kernel operation. */
export function kernelError(subject: Subject, errno: string, cause?: unknown): WeaveError {
  const hint = HINTS[errno];
  return new WeaveError("kernel", `${subject.operation} ${subject.object}: ${errno}`, {
    ...(hint === undefined ? {} : { hint }),
    cause,
    fields: { operation: subject.operation, object: subject.object, errno },
  });
}

/** The errno name of an error made here; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof WeaveError)) return undefined;
  const errno = error.fields["errno"];
  return typeof errno === "string" ? errno : undefined;
}

const HINTS: Readonly<Record<string, string>> = {
  EPERM: "run as root (CAP_NET_ADMIN is needed)",
  EACCES: "run as root (CAP_NET_ADMIN is needed)",
  ENOTSUP: "the kernel lacks this feature; see `weave status` for the option that brings it",
  ENOBUFS: "the kernel is out of memory for network objects",
};
