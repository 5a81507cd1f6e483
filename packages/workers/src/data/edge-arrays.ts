/**
 * The arrays through which edges of unaligned transfers move: one io unit each, kept for the next transfer. What is in them
 * when they are taken is of no meaning. They are not shared memory: V8 copies to and from that byte by byte wherever words
 * do not line up, as here they hardly ever do.
 */

/** Arrays that are made at once. */
const SLAB_ARRAYS = 16;
/** Arrays that are kept; more are made while more are needed. */
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

  /** Gives an array back that no request uses any more. */
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
