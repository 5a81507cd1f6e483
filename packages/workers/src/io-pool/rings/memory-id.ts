/**
 * The ids of shared memories in rings. An id consists of an index, which is used again when its memory is gone, and a
 * count of its uses. So a worker that has not yet received the new memory does not mistake the old one for it.
 */

/** No memory: the request moves no bytes. */
export const NO_MEMORY = 0;
/** The memory of a memory device, which client and worker have from the start. */
export const DEVICE_MEMORY = 1;
/** The first index for other memories. */
export const FIRST_INDEX = 2;

const INDEX_BITS = 20;
const USES_MAX = (1 << (31 - INDEX_BITS)) - 1;
export const MEMORIES_MAX = 1 << INDEX_BITS;

export function memoryIndex(id: number): number {
  return id & (MEMORIES_MAX - 1);
}

/** The next id with the same index as `id`. */
export function nextMemoryId(id: number): number {
  const uses = ((id >>> INDEX_BITS) + 1) & USES_MAX;
  return (uses << INDEX_BITS) | memoryIndex(id);
}
