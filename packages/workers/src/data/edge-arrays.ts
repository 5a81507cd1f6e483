/**
 * A pool of arrays for the edges of unaligned transfers, of one io unit each. Their content is undefined when they are
 * taken. They are not in shared memory: V8 copies to and from shared memory byte by byte if source and destination are
 * not aligned alike, and in unaligned transfers they rarely are.
 */

/** The number of arrays that are allocated together. */
const SLAB_ARRAYS = 16;
/** The most free arrays that are kept. There is no limit to the arrays in use. */
const KEPT_MAX = 256;

export class EdgeArrays {
  /** Bytes of an io unit. */
  readonly unitBytes: number;
  readonly #free: Uint8Array[] = [];

  constructor(unitBytes: number) {
    this.unitBytes = unitBytes;
  }

  take(): Uint8Array {
    return this.#free.pop() ?? this.#takeOfNewSlab();
  }

  /** Returns an array to the pool. No request may use it any more. */
  give(array: Uint8Array): void {
    if (this.#free.length < KEPT_MAX) this.#free.push(array);
  }

  #takeOfNewSlab(): Uint8Array {
    const { unitBytes } = this;
    const slab = new Uint8Array(SLAB_ARRAYS * unitBytes);
    for (let at = unitBytes; at < slab.length; at += unitBytes) this.#free.push(slab.subarray(at, at + unitBytes));
    return slab.subarray(0, unitBytes);
  }
}
