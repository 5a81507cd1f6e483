/** The faults and gates that a test has planned for a faulty device, and the counters that decide when they apply. */

import { BlobstoreError, type ErrorCode } from '@blobyard/core';
import { describeValue } from '@blobyard/core/internal/describe-value';

/** The kinds of operation. `readv` and `readBytes` count as reads, `writev` and `writeBytes` as writes. */
export const OPERATION_KINDS = ['read', 'write', 'writeZeroes', 'unmap', 'flush', 'copy'] as const;
/** A kind of operation. */
export type OperationKind = (typeof OPERATION_KINDS)[number];

/** What happens to writes while the power is off: they fail with EIO, or they report success and are lost. */
export type PowerlessWrites = 'fail' | 'drop';

/** How one operation fails. */
export type Fault =
  | { readonly what: 'error'; readonly code: ErrorCode }
  /**
   * A torn write: the first `sectors` sectors of 512 bytes are written; then it fails with the code, or the power is
   * cut.
   */
  | { readonly what: 'tear'; readonly sectors: number; readonly after: ErrorCode | PowerlessWrites };

/** Holds one operation back until the test releases it. */
export interface Gate {
  /** Resolves when the operation has arrived. */
  readonly reached: Promise<void>;
  /** Lets the operation go on. May be called before the operation arrives; it then does not wait. */
  release(): void;
}

interface Rule {
  readonly kinds: readonly OperationKind[];
  /** Operations of these kinds until the rule applies: 1 means that it applies to the next one. */
  countdown: number;
  /** How many more operations the rule applies to. */
  times: number;
  readonly fault?: Fault;
  readonly gate?: { readonly arrive: () => void; readonly released: Promise<void> };
}

/** What to do with one operation: wait for these gates, then apply the fault, if there is one. */
export interface Verdict {
  readonly gates: readonly Promise<void>[];
  readonly fault: Fault | undefined;
}

/** The planned faults and gates of one faulty device. */
export class FaultPlan {
  readonly counters: Record<OperationKind, number> = { read: 0, write: 0, writeZeroes: 0, unmap: 0, flush: 0, copy: 0 };
  #rules: Rule[] = [];

  /** The fault applies to the k-th operation of the kinds from now on (1 is the next), and to `times - 1` after it. */
  addFault(k: number, kinds: readonly OperationKind[], fault: Fault, times: number): void {
    this.#add({ kinds, countdown: k, times, fault });
  }

  /** The k-th operation of the kinds from now on (1 is the next) waits until the gate is released. */
  addGate(k: number, kinds: readonly OperationKind[]): Gate {
    const arrival = deferred();
    const release = deferred();
    this.#add({ kinds, countdown: k, times: 1, gate: { arrive: arrival.resolve, released: release.promise } });
    return { reached: arrival.promise, release: release.resolve };
  }

  /** Removes all rules. Operations that already wait at a gate still wait for its release. */
  clear(): void {
    this.#rules = [];
  }

  /**
   * Counts an operation, and returns what is to happen to it. Of several faults, the one that was added first applies.
   */
  next(kind: OperationKind): Verdict {
    this.counters[kind]++;
    let fault: Fault | undefined;
    const gates: Promise<void>[] = [];
    for (const rule of this.#rules) {
      if (!rule.kinds.includes(kind)) continue;
      if (rule.countdown > 1) {
        rule.countdown--;
        continue;
      }
      rule.times--;
      fault ??= rule.fault;
      if (rule.gate === undefined) continue;
      rule.gate.arrive();
      gates.push(rule.gate.released);
    }
    this.#rules = this.#rules.filter((rule) => rule.times > 0);
    return { gates, fault };
  }

  #add(rule: Rule): void {
    const isPossible =
      Number.isInteger(rule.countdown) && rule.countdown >= 1 && typeof rule.times === 'number' && rule.times >= 1;
    if (!isPossible) {
      const asked = `a fault at operation ${describeValue(rule.countdown)}, ${describeValue(rule.times)} times`;
      throw new BlobstoreError(
        'EINVAL',
        `${asked}: operations are counted from 1, and the number of times must be 1 or more`,
      );
    }
    this.#rules.push(rule);
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
