// Collects what an apply did and what it could not do, and decides nothing.
import { WeaveError } from "../../core/errors.ts";
import type { DatapathReport, Repair } from "../../ports/kernel.ts";
import { gatherRepairs } from "./objects.ts";

export class Report {
  readonly #changes: string[] = [];
  readonly #repairs: Repair[] = [];
  readonly #failures = new Map<string, string>();
  readonly #lacks = new Map<string, string>();

  changed(...changes: readonly string[]): void {
    this.#changes.push(...changes);
  }

  /** How many changes there are; for since(). */
  get count(): number {
    return this.#changes.length;
  }

  /** Changes made after there were `count` of them. */
  since(count: number): readonly string[] {
    return this.#changes.slice(count);
  }

  /**
   * These changes put `object` back; nothing when there were none. Settings of the kernel are objects of their own, except
   * those of a device that was made anew.
   */
  repaired(object: string, changes: readonly string[]): void {
    const madeAnew = changes.some((change) => change.startsWith("link add "));
    const own = changes.filter((change) => madeAnew || !isSetting(change));
    if (own.length > 0) this.#repairs.push({ object, message: own.join("; ") });
    if (!madeAnew) this.repairedSettings(changes.filter(isSetting));
  }

  /** The same for changes that are sysctls, each an object of its own. */
  repairedSettings(changes: readonly string[]): void {
    for (const change of changes) {
      const key = change.split(" ")[1] ?? "";
      this.#repairs.push({ object: `sysctl ${key}`, message: change });
    }
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
    const repairs = gatherRepairs(this.#repairs);
    return { changes: [...this.#changes], failures, ...(repairs.length === 0 ? {} : { repairs }) };
  }
}

const isSetting = (change: string): boolean => change.startsWith("sysctl ");

/** Anything but a WeaveError is a bug, told with its stack; it stops nothing else either. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof WeaveError)) return error.stack ?? error.message;
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}
