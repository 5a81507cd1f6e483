/**
 * Numbers by which shared memories are named in rings. A number is an index, which is used again when its memory is gone,
 * and how often it has been used, so that a worker which has not yet heard of the new memory never takes the old one for it.
 */

/** No memory: the request moves no bytes. */
export const NO_MEMORY = 0;
/** The memory of a memory device, which client and worker know beforehand. */
export const DEVICE_MEMORY = 1;
/** The first index that is given to a memory. */
export const FIRST_INDEX = 2;

const INDEX_BITS = 20;
const USES_MAX = (1 << (31 - INDEX_BITS)) - 1;
export const MEMORIES_MAX = 1 << INDEX_BITS;

export function memoryIndex(id: number): number {
  return id & (MEMORIES_MAX - 1);
}

/** The id under which an index is used next, when it was used as `id`. */
export function nextMemoryId(id: number): number {
  const uses = ((id >>> INDEX_BITS) + 1) & USES_MAX;
  return (uses << INDEX_BITS) | memoryIndex(id);
}
