/** The pseudo-random bytes of a seed (xorshift32), of which the traces' payloads and external snapshots are made. */

const MULTIPLIER = 2654435761;

/** The first `byteCount` bytes of the stream of `seed`. */
export function byteStream(seed: number, byteCount: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(byteCount / 4));
  let x = Number((BigInt(seed) * BigInt(MULTIPLIER)) & 0xffff_ffffn) || 1;
  for (let at = 0; at < words.length; at++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[at] = x;
  }
  return new Uint8Array(words.buffer, 0, byteCount);
}
