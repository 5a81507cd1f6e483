/**
 * Copies bytes between buffers of any kind. The fastest way depends on the version of Node.js. Nanoseconds for 4 KiB
 * between plain and shared memory, in cache:
 *
 *     Node   `set` of a new view   `Buffer.copy`   loop over words
 *     20     180 to 200            210 to 410      300 to 600
 *     22     300                   90              300 to 600
 *     24     500                   80 to 125       300 to 600
 */

import { Buffer } from 'node:buffer';

/** Copies `lengthBytes` bytes; the caller has checked that both buffers hold them. */
export type CopyBytes = (
  source: Uint8Array,
  sourceOffset: number,
  target: Uint8Array,
  targetOffset: number,
  lengthBytes: number,
) => void;

/** From this major version on, `Buffer.copy` is one native call that allocates nothing. */
const NATIVE_COPY_SINCE_MAJOR = 22;

const bufferCopy = Buffer.prototype.copy;

const copyByBuffer: CopyBytes = (source, sourceOffset, target, targetOffset, lengthBytes) => {
  let skip = 0;
  if (sourceOffset === 0 && lengthBytes === source.byteLength && lengthBytes > 0) {
    // To copy a whole buffer, `copy` calls `set`, which takes two to four times as long into shared memory.
    target[targetOffset] = source[0];
    skip = 1;
  }
  bufferCopy.call(source, target, targetOffset + skip, sourceOffset + skip, sourceOffset + lengthBytes);
};

const copyBySet: CopyBytes = (source, sourceOffset, target, targetOffset, lengthBytes) => {
  const isWhole = sourceOffset === 0 && lengthBytes === source.byteLength;
  // A new view costs less than `subarray`, which looks for the class to construct.
  const part = isWhole ? source : new Uint8Array(source.buffer, source.byteOffset + sourceOffset, lengthBytes);
  target.set(part, targetOffset);
};

const nodeMajor = Number(process.versions.node.split('.')[0]);

/** Copies bytes in the way that is fastest on this version of Node.js. */
export const copyBytes: CopyBytes = nodeMajor >= NATIVE_COPY_SINCE_MAJOR ? copyByBuffer : copyBySet;

/** From this many bytes on, a copy through `stage` is faster. */
const STAGED_MIN_BYTES = 256;
/** V8 copies in words. Where source and target begin at different bytes of a word, it copies shared memory by bytes. */
const WORD_BYTES = 8;
const STAGE_BYTES = 4096;

/** This thread's memory for copies in two steps. */
const stage = new Uint8Array(STAGE_BYTES + WORD_BYTES);

/**
 * Like `copyBytes`, for the case that one array is in shared memory, and that the two may begin at different bytes of a
 * word. If they do, two copies are faster than one: one between shared memory and `stage`, which begin at the same byte
 * of a word, and one within unshared memory.
 */
export const copyBytesAnywhere: CopyBytes =
  copyBytes === copyByBuffer
    ? copyBytes
    : (source, sourceOffset, target, targetOffset, lengthBytes) => {
        const from = source.byteOffset + sourceOffset;
        const to = target.byteOffset + targetOffset;
        const isAlike = (from - to) % WORD_BYTES === 0;
        if (isAlike || lengthBytes < STAGED_MIN_BYTES || (isShared(source) && isShared(target))) {
          copyBytes(source, sourceOffset, target, targetOffset, lengthBytes);
          return;
        }
        const at = (isShared(source) ? from : to) % WORD_BYTES; // the same byte of a word as in shared memory
        for (let done = 0; done < lengthBytes; done += STAGE_BYTES) {
          const length = Math.min(STAGE_BYTES, lengthBytes - done);
          copyBytes(source, sourceOffset + done, stage, at, length);
          copyBytes(stage, at, target, targetOffset + done, length);
        }
      };

function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}
