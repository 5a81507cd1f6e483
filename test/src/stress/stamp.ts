/**
 * Stamps: the contents of blocks, by which a reader finds the write that they come from. Each part of 8 bytes has the
 * write's token, and a check over the token and the position. So a block with parts of two writes is recognised, and
 * each of its parts is known. A part may even be mixed of two writes at any byte: this happens when one of two threads
 * was descheduled in the middle of its copy to memory.
 */

import { mix } from '../hash.js';

/** The size of a block in bytes. Blocks are the unit of offsets and lengths in a stress run. */
export const BLOCK_BYTES = 4096;
/** The number of 32-bit words of a block. */
export const BLOCK_WORDS = BLOCK_BYTES / 4;

/** The token of zeroes. */
export const ZEROES = 0;

/** Writes the stamp of a token, for block `block` of its blob, to `words` from `start` on. */
export function putStamp(words: Uint32Array, start: number, token: number, block: number): void {
  const key = mix(token ^ Math.imul(block + 1, 0x9e37_79b1));
  for (let at = 0; at < BLOCK_WORDS; at += 2) {
    words[start + at] = token;
    words[start + at + 1] = checkOf(key, at);
  }
}

/** The contents of a block. */
export interface BlockContent {
  /** Equal contents have equal signatures: the token of the whole block, or a hash if it has several tokens. */
  readonly signature: number;
  /** The tokens of its parts; `ZEROES` for parts of zeroes. */
  readonly tokens: readonly number[];
  /** The offset in bytes of a part that is not a stamp of this block, or -1. */
  readonly foreignAt: number;
}

/** Reads the contents of block `block` of a blob from `words` from `start` on. */
export function readStamp(words: Uint32Array, start: number, block: number): BlockContent {
  const token = words[start];
  return isUniform(words, start, token, block) ? uniform(token) : readMixed(words, start, block);
}

export function uniform(token: number): BlockContent {
  return { signature: token, tokens: [token], foreignAt: -1 };
}

function isUniform(words: Uint32Array, start: number, token: number, block: number): boolean {
  const key = mix(token ^ Math.imul(block + 1, 0x9e37_79b1));
  for (let at = 0; at < BLOCK_WORDS; at += 2) {
    const check = token === ZEROES ? 0 : checkOf(key, at);
    if (words[start + at] !== token || words[start + at + 1] !== check) return false;
  }
  return true;
}

function readMixed(words: Uint32Array, start: number, block: number): BlockContent {
  const tokens = new Set<number>();
  let signature = 0;
  let foreignAt = -1;
  for (let at = 0; at < BLOCK_WORDS; at += 2) {
    const token = words[start + at];
    signature = mix(mix(signature ^ token) ^ words[start + at + 1]);
    if (isPart(words, start, at, block)) tokens.add(token);
    else if (foreignAt < 0 && !isSeam(words, start, at, block)) foreignAt = at * 4;
  }
  return { signature: signature >>> 0, tokens: [...tokens], foreignAt };
}

/** True if the part at word `at` is a valid stamp. */
function isPart(words: Uint32Array, start: number, at: number, block: number): boolean {
  const [token, check] = partOf(words[start + at], block, at);
  return words[start + at] === token && words[start + at + 1] === check;
}

/**
 * True if the part at word `at` has the first bytes of one neighbour's stamp, and the last bytes of the other one's.
 */
function isSeam(words: Uint32Array, start: number, at: number, block: number): boolean {
  if (at === 0 || at + 2 >= BLOCK_WORDS) return false;
  if (!isPart(words, start, at - 2, block) || !isPart(words, start, at + 2, block)) return false;
  const bytesOf = (part: readonly number[]) => [...new Uint8Array(Uint32Array.from(part).buffer)];
  const found = bytesOf([words[start + at], words[start + at + 1]]);
  const before = bytesOf(partOf(words[start + at - 2], block, at));
  const after = bytesOf(partOf(words[start + at + 2], block, at));
  return found.some((_, cut) => found.every((byte, index) => byte === (index < cut ? before : after)[index]));
}

/** The two words of a token's stamp at word `at` of a block. */
function partOf(token: number, block: number, at: number): [number, number] {
  if (token === ZEROES) return [ZEROES, 0];
  return [token, checkOf(mix(token ^ Math.imul(block + 1, 0x9e37_79b1)), at)];
}

function checkOf(key: number, at: number): number {
  return Math.imul((key + at) | 1, 0x85eb_ca6b) >>> 0;
}
