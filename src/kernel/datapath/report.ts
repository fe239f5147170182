// Collects what an apply did and what it could not do, and decides nothing.
import { WeaveError } from "../../core/errors.ts";
import type { DatapathReport } from "../../ports/kernel.ts";

export class Report {
  readonly #changes: string[] = [];
  readonly #failures = new Map<string, string>();
  readonly #lacks = new Map<string, string>();

  changed(...changes: readonly string[]): void {
    this.#changes.push(...changes);
  }

  /** Note a refused kernel call: what is known about the kernel may be wrong. */
  failed(object: string, error: unknown): void {
    this.#failures.set(object, messageOf(error));
  }

  /** Note what this host cannot do, or what retries by itself: a failure that reading the kernel again does not cure. */
  lacking(object: string, error: unknown): void {
    this.#lacks.set(object, messageOf(error));
  }

  /** No kernel call was refused. */
  get clean(): boolean {
    return this.#failures.size === 0;
  }

  /** Forget what failed: it is tried again. */
  retry(): void {
    this.#failures.clear();
    this.#lacks.clear();
  }

  finish(): DatapathReport {
    const failures = [...this.#failures, ...this.#lacks].map(([object, message]) => ({ object, message }));
    return { changes: [...this.#changes], failures };
  }
}

/** Anything but a WeaveError is a bug, told with its stack; it stops nothing else either. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof WeaveError)) return error.stack ?? error.message;
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}
