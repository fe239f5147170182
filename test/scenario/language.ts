// What a scenario consists of: commands with their results, events of the world, expectations. Types only; README.md says
// how each is written, script.ts reads it, perform.ts plays it.

/** What is typed on a host, or what a runtime asks there. */
export type Command =
  | { readonly verb: "launch"; readonly peers: readonly string[]; readonly options: LaunchOptions }
  | { readonly verb: "connect"; readonly peers: readonly string[]; readonly replace: boolean }
  | { readonly verb: "forget"; readonly peers: readonly string[] }
  | { readonly verb: "expose" }
  | { readonly verb: "reset"; readonly force: boolean; readonly join?: string }
  | { readonly verb: "rmpeer"; readonly peers: readonly string[]; readonly force: boolean }
  | { readonly verb: "add"; readonly containers: readonly string[]; readonly address?: string }
  | { readonly verb: "del"; readonly containers: readonly string[] };

/** As written; absent: the default. */
export interface LaunchOptions {
  readonly init?: string;
  readonly range?: string;
  readonly name?: string;
  readonly connLimit?: string;
  readonly discovery?: false;
  readonly resume?: true;
}

/** What the answer to a command must be; absent: yes. */
export type Result =
  | { readonly kind: "address"; readonly address: string; readonly atOnce: boolean }
  | { readonly kind: "at-once" }
  | { readonly kind: "inside"; readonly cidr: string }
  | { readonly kind: "refused"; readonly code: string; readonly text?: string }
  | { readonly kind: "heir"; readonly name: string }
  /** Of several hosts that ask the same: all hear of the same heir. */
  | { readonly kind: "one-heir" };

/** Something that is so or not, on each of the hosts. */
export type Fact =
  | { readonly kind: "owns"; readonly hosts: readonly string[]; readonly addresses: Amount }
  | { readonly kind: "clusters"; readonly hosts: readonly string[]; readonly count: number }
  | { readonly kind: "one-ring" }
  | { readonly kind: "agreement" }
  | { readonly kind: "no-ring"; readonly hosts: readonly string[] }
  | {
      readonly kind: "shows";
      readonly hosts: readonly string[];
      /** Absent: anything. */
      readonly code?: string;
      readonly text?: string;
      readonly wanted: boolean;
    }
  | {
      readonly kind: "knows";
      readonly hosts: readonly string[];
      readonly container: string;
      readonly of: string;
      readonly wanted: boolean;
    }
  | {
      readonly kind: "holds";
      readonly hosts: readonly string[];
      readonly container: string;
      readonly address?: string;
      readonly wanted: boolean;
    }
  /** Established connections, direct ones; exactly these. */
  | { readonly kind: "connected"; readonly hosts: readonly string[]; readonly to: readonly string[] | "all" }
  | { readonly kind: "connections"; readonly hosts: readonly string[]; readonly most: number }
  /** Whom they were told to dial; exactly these. */
  | { readonly kind: "targets"; readonly hosts: readonly string[]; readonly targets: readonly string[] }
  /** What the others call it. */
  | { readonly kind: "called"; readonly hosts: readonly string[]; readonly name: string }
  | { readonly kind: "exposed"; readonly hosts: readonly string[]; readonly address: string }
  | { readonly kind: "epoch"; readonly hosts: readonly string[]; readonly epoch: number }
  | { readonly kind: "voters"; readonly hosts: readonly string[]; readonly voters: readonly string[] }
  /** What `weave status ipam` says of an owner. */
  | { readonly kind: "lists"; readonly hosts: readonly string[]; readonly of: string; readonly text: string }
  | { readonly kind: "aside"; readonly hosts: readonly string[]; readonly reason: string }
  | { readonly kind: "entries"; readonly most: number };

/** Both inclusive. */
export interface Amount {
  readonly least: number;
  readonly most: number;
}

/** What a line means. */
export type Act =
  | {
      readonly kind: "command";
      readonly hosts: readonly string[];
      readonly command: Command;
      readonly result?: Result;
    }
  | { readonly kind: "kill"; readonly hosts: readonly string[] }
  | { readonly kind: "lose-disk"; readonly hosts: readonly string[] }
  | { readonly kind: "partition"; readonly groups: readonly (readonly string[])[] }
  | { readonly kind: "heal" }
  | { readonly kind: "wait"; readonly ms: number }
  /** The next message of that kind (`k` of its body) that this host sends never arrives. */
  | { readonly kind: "lose-message"; readonly message: string; readonly from: string }
  | { readonly kind: "expect"; readonly fact: Fact; readonly withinMs: number };

/** One line of a story. */
export interface Step {
  readonly line: number;
  readonly text: string;
  readonly act: Act;
}

/** A whole file, read. */
export interface Script {
  readonly file: string;
  /** Its first comment. */
  readonly title: string;
  readonly range: string;
  readonly seeds: readonly number[];
  /** All hosts, in the order they are first named as one that does something. */
  readonly hosts: readonly string[];
  readonly steps: readonly Step[];
}
