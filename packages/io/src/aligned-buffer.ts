/**
 * Buffers whose memory begins at a page, as direct I/O wants them. JavaScript shows no addresses; a growable
 * SharedArrayBuffer is the kind that Node always maps by whole pages, and the only one that can be told from the
 * others.
 */

/** What direct I/O asks of addresses, positions and lengths: multiples of this many bytes. */
export const DIRECT_ALIGNMENT_BYTES = 512;

/** A buffer of zeroes that begins at a page. It is shared memory, and can be posted to other threads. */
export function allocateAligned(lengthBytes: number): Uint8Array {
  // A view without an explicit length would follow the buffer's growth, and be slow.
  return new Uint8Array(new SharedArrayBuffer(lengthBytes, { maxByteLength: lengthBytes }), 0, lengthBytes);
}

/** True when direct I/O can use the buffer from `bufferOffset` on; false also when that cannot be known. */
export function isAligned(buffer: Uint8Array, bufferOffset: number): boolean {
  const memory = buffer.buffer;
  const beginsAtPage = memory instanceof SharedArrayBuffer && memory.growable;
  return beginsAtPage && (buffer.byteOffset + bufferOffset) % DIRECT_ALIGNMENT_BYTES === 0;
}

/** True when direct I/O can use all the buffers, one after another. */
export function areAligned(buffers: readonly Uint8Array[]): boolean {
  return buffers.every((buffer) => isAligned(buffer, 0) && buffer.byteLength % DIRECT_ALIGNMENT_BYTES === 0);
}
