/** What a faulty device is to do at which operation: the rules that a test sets, and the counts that they go by. */

import { BlobstoreError, type ErrorCode } from '@blobyard/core';
import { describeValue } from './describe-value.js';

/** Scatter lists count as what they are: `readv` as a read, `writev` as a write. */
export const OPERATION_KINDS = ['read', 'write', 'writeZeroes', 'unmap', 'flush', 'copy'] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

/** What happens to writes while the power is off: they fail with EIO, or they say that they are done and are not. */
export type PowerlessWrites = 'fail' | 'drop';

/** What goes wrong with one operation. */
export type Fault =
  | { readonly what: 'error'; readonly code: ErrorCode }
  /** The first `sectors` sectors of 512 bytes land; then the operation fails with the code, or the power is cut. */
  | { readonly what: 'tear'; readonly sectors: number; readonly after: ErrorCode | PowerlessWrites };

/** An operation that is held up. */
export interface Gate {
  /** Resolves when the operation has arrived. */
  readonly reached: Promise<void>;
  /** Lets the operation go on; it may be called before the operation arrives. */
  release(): void;
}

interface Rule {
  readonly kinds: readonly OperationKind[];
  /** Operations of these kinds until the rule applies; it applies at 1. */
  countdown: number;
  /** Operations that it goes on applying to. */
  times: number;
  readonly fault?: Fault;
  readonly gate?: { readonly arrive: () => void; readonly released: Promise<void> };
}

/** What to do with one operation: wait for these gates, then go wrong if there is a fault. */
export interface Verdict {
  readonly gates: readonly Promise<void>[];
  readonly fault: Fault | undefined;
}

export class FaultPlan {
  readonly counters: Record<OperationKind, number> = { read: 0, write: 0, writeZeroes: 0, unmap: 0, flush: 0, copy: 0 };
  #rules: Rule[] = [];

  /** From now on the k-th operation of the kinds (1 is the next), and `times - 1` after it, go wrong. */
  addFault(k: number, kinds: readonly OperationKind[], fault: Fault, times: number): void {
    this.#add({ kinds, countdown: k, times, fault });
  }

  /** From now on the k-th operation of the kinds (1 is the next) waits for the gate's release. */
  addGate(k: number, kinds: readonly OperationKind[]): Gate {
    const arrival = deferred();
    const release = deferred();
    this.#add({ kinds, countdown: k, times: 1, gate: { arrive: arrival.resolve, released: release.promise } });
    return { reached: arrival.promise, release: release.resolve };
  }

  /** Forgets all rules. Operations that wait at a gate go on waiting for it. */
  clear(): void {
    this.#rules = [];
  }

  /** Counts an operation, and says what is to happen to it. Of several faults the one set first wins. */
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
      throw new BlobstoreError('EINVAL', `${asked}: both must be whole numbers from 1`);
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
