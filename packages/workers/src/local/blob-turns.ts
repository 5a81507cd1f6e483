/**
 * The order of metadata operations. When two of them meet on a blob, the engine throws EBUSY; here the later one waits
 * instead. The locks of each operation (see `LockKind`), on a blob B:
 *
 * | operation | presence | turn | state |
 * |---|---|---|---|
 * | open | shares that of B and its parent | | |
 * | list, close | as open | | B |
 * | snapshot | as open | B | B |
 * | clone, copy, inflate | as open | B | |
 * | decouple | as open | B, shares that of its parent | |
 * | resize, read-only | as open | B | B |
 * | sync, flush, xattrs | (a handle is open) | | B |
 * | delete | B alone, shares that of its parent and its clone | B, its clone | B's clone |
 *
 * The number of locks does not depend on the length of the chain of snapshots of a blob. The parent is locked because
 * its deletion changes B's metadata and parent. The deletion of a snapshot further up the chain changes only the clone
 * of that snapshot. B can be opened at the same time: the engine never lets two operations load the same blob at once,
 * and a snapshot that is being deleted can be opened by its clone. Decoupling needs more: B gets the parent of its
 * parent, and copies only the clusters that its parent itself has. The shared turn excludes every operation that
 * changes the map or the parent of B's parent: inflate, decouple, and the deletion of the parent's parent, which takes
 * the turn of its clone. `state` is a lock of its own so that a flush does not wait for a long inflate.
 */

import { type Blobstore, BlobstoreError, INVALID_BLOB_ID } from '@blobyard/core';
import type { LockTable, LockWanted } from './lock-table.js';

export interface TurnOptions {
  readonly turn?: boolean;
  readonly state?: boolean;
  /** Shares the turn of the blob's parent. */
  readonly parentTurn?: boolean;
  readonly signal?: AbortSignal;
}

/** The locks of one store. Metadata thread. */
export class BlobTurns {
  readonly #blobstore: Blobstore;
  readonly #locks: LockTable;
  #changes = 0;

  constructor(blobstore: Blobstore, locks: LockTable) {
    this.#blobstore = blobstore;
    this.#locks = locks;
  }

  /** Runs an operation on an existing blob, which cannot be deleted meanwhile. Its signal can abort the wait. */
  with<T>(id: bigint, options: TurnOptions, operation: () => Promise<T>): Promise<T> {
    return this.#run(() => this.#wanted(id, options), options.signal, operation);
  }

  /** Grows with each operation, when it begins and when it has ended. */
  get changes(): number {
    return this.#changes;
  }

  /** True if no operation has a lock or waits for one. */
  get areIdle(): boolean {
    return this.#locks.size === 0;
  }

  /** True if an operation would not have to wait for its turn. */
  isFree(id: bigint, options: TurnOptions): boolean {
    return this.areIdle || this.#locks.areFree(this.#wanted(id, options));
  }

  /** The synchronous form of `with`. Throws EBUSY if it would have to wait for a lock. */
  now<T>(id: bigint, options: TurnOptions, operation: () => T): T {
    return this.#runNow(this.#wanted(id, options), operation);
  }

  /** Runs an operation that changes several blobs as a whole, none of which can be deleted meanwhile. */
  withAll<T>(ids: readonly bigint[], operation: () => Promise<T>): Promise<T> {
    const wanted = () => {
      const locks = new Map<string, LockWanted>(); // blobs with one parent share its lock once
      for (const id of ids) {
        for (const lock of this.#wanted(id, { turn: true, state: true })) locks.set(`${lock.kind} ${lock.blob}`, lock);
      }
      return [...locks.values()];
    };
    return this.#run(wanted, undefined, operation);
  }

  /** Runs an operation on the metadata of open blobs that does not affect other blobs. */
  async withState<T>(ids: readonly bigint[], operation: () => Promise<T>): Promise<T> {
    return this.#run(() => stateOf(ids), undefined, operation);
  }

  /** The synchronous form of `withState`. Throws EBUSY if it would have to wait for a lock. */
  nowWithState<T>(ids: readonly bigint[], operation: () => T): T {
    return this.#runNow(stateOf(ids), operation);
  }

  /**
   * Runs the deletion of a blob: with the blob's `presence` exclusively, and locks of its clone, if it has exactly one.
   */
  withAlone<T>(id: bigint, operation: () => Promise<T>): Promise<T> {
    const wanted = () => {
      const clones = this.#blobstore.clonesOf(id);
      const heir = clones.length === 1 ? clones : [];
      const locks: LockWanted[] = [
        { kind: 'presence', blob: id },
        { kind: 'turn', blob: id },
      ];
      for (const blob of [...heir, ...this.#parent(id)]) locks.push({ kind: 'presence', blob, shared: true });
      for (const blob of heir) locks.push({ kind: 'turn', blob }, { kind: 'state', blob });
      return locks;
    };
    return this.#run(wanted, undefined, operation);
  }

  /**
   * Runs an operation with its locks. Which locks it needs depends on other blobs, and can change while it waits. So
   * `wanted` is called again once the locks are held. If its result has changed, they are released, and taken anew.
   */
  async #run<T>(wanted: () => LockWanted[], signal: AbortSignal | undefined, operation: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = wanted();
      const release = await this.#locks.acquire(before, signal);
      try {
        this.#changes++;
        if (sameLocks(before, wanted())) return await operation();
      } finally {
        this.#changes++;
        release();
      }
    }
  }

  /** A synchronous operation takes no locks: it is enough that they are free, because nothing else runs meanwhile. */
  #runNow<T>(wanted: readonly LockWanted[], operation: () => T): T {
    this.#changes++;
    if (this.#locks.areFree(wanted)) return operation();
    const reason = 'another operation on the blob is under way';
    throw new BlobstoreError('EBUSY', `a synchronous call would have to wait: ${reason}; use the promise form`);
  }

  #wanted(id: bigint, { turn, state, parentTurn }: TurnOptions): LockWanted[] {
    const parent = this.#parent(id);
    const locks: LockWanted[] = [id, ...parent].map((blob) => ({ kind: 'presence', blob, shared: true }));
    if (turn) locks.push({ kind: 'turn', blob: id });
    if (state) locks.push({ kind: 'state', blob: id });
    if (parentTurn) for (const blob of parent) locks.push({ kind: 'turn', blob, shared: true });
    return locks;
  }

  /** The snapshot that a blob is a clone of, if there is one. */
  #parent(id: bigint): bigint[] {
    const parent = this.#blobstore.parentOf(id);
    return parent === INVALID_BLOB_ID ? [] : [parent];
  }
}

function stateOf(ids: readonly bigint[]): LockWanted[] {
  return ids.map((blob) => ({ kind: 'state', blob }));
}

function sameLocks(one: readonly LockWanted[], other: readonly LockWanted[]): boolean {
  return (
    one.length === other.length && one.every(({ kind, blob }, at) => kind === other[at].kind && blob === other[at].blob)
  );
}
