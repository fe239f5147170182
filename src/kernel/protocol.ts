// What the main thread and the kernel thread say to each other. Both ends are built together, so it has no version.

import { type ErrorCode, WeaveError } from "../core/errors.ts";
import type { Kernel } from "../ports/kernel.ts";

/** Operations of the port that are a call and its answer. */
export type Operation = Exclude<keyof Kernel, "watch">;

/** A call: which operation, with its own arguments. After "watch" the thread tells of drift by itself. */
export type Request =
  | {
      [O in Operation]: {
        readonly id: number;
        readonly operation: O;
        readonly args: Parameters<Kernel[O]>;
      };
    }[Operation]
  | { readonly id: number; readonly operation: "watch" };

/** What nobody asked for: objects that are not as they were left (Kernel.watch). */
export interface DriftNotice {
  readonly drift: readonly string[];
}

/** What an operation gives. */
export type Result<O extends Operation> = Awaited<ReturnType<Kernel[O]>>;

/** The outcome of the call with the same id. */
export type Reply =
  | { readonly id: number; readonly outcome: "done"; readonly value: unknown }
  | { readonly id: number; readonly outcome: "refused"; readonly error: WireError };

/** An error as plain data: the structured clone of an Error keeps neither its class nor its fields. */
export type WireError =
  | {
      readonly kind: "expected";
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | undefined;
      readonly fields: Readonly<Record<string, string | number | boolean>>;
    }
  | { readonly kind: "bug"; readonly message: string; readonly stack: string | undefined };

/** Anything thrown -> plain data. */
export function encodeError(error: unknown): WireError {
  if (error instanceof WeaveError) {
    const { code, message, hint, fields } = error;
    return { kind: "expected", code, message, hint, fields };
  }
  if (error instanceof Error) return { kind: "bug", message: error.message, stack: error.stack };
  return { kind: "bug", message: String(error), stack: undefined };
}

/** Plain data -> the error to throw on this side. */
export function decodeError(error: WireError): Error {
  if (error.kind === "expected") {
    return new WeaveError(error.code, error.message, { hint: error.hint, fields: { ...error.fields } });
  }
  const bug = new Error(error.message);
  if (error.stack !== undefined) bug.stack = error.stack;
  return bug;
}
