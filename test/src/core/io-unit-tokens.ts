/**
 * Contents of io units as numbers (tokens). Token 0 is an io unit of zeroes. Any other token stands for a pattern in
 * which each word depends on the token and on the position of the word, so that torn, shifted and mixed data is found.
 */

const PATTERN_WORDS = 1024;
const PATTERN = Uint32Array.from({ length: PATTERN_WORDS }, (_, index) => Math.imul(index, 0x9e37_79b1));

/** The bytes of the io units with these tokens. */
export function bytesOfTokens(tokens: readonly number[], ioUnitBytes: number): Uint8Array {
  const wordsPerUnit = ioUnitBytes / 4;
  const words = new Uint32Array(tokens.length * wordsPerUnit);
  tokens.forEach((token, unit) => {
    if (token === 0) return;
    const at = unit * wordsPerUnit;
    for (let index = 0; index < wordsPerUnit; index++) words[at + index] = token ^ PATTERN[index];
  });
  return new Uint8Array(words.buffer);
}

/** The token of each io unit, or -1 for an io unit that has the pattern of no token. */
export function tokensOfBytes(bytes: Uint8Array, ioUnitBytes: number): number[] {
  const wordsPerUnit = ioUnitBytes / 4;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const tokens: number[] = [];
  for (let at = 0; at < words.length; at += wordsPerUnit) tokens.push(tokenAt(words, at, wordsPerUnit));
  return tokens;
}

function tokenAt(words: Uint32Array, at: number, wordsPerUnit: number): number {
  const token = words[at];
  for (let index = 0; index < wordsPerUnit; index++) {
    const expected = token === 0 ? 0 : (token ^ PATTERN[index]) >>> 0;
    if (words[at + index] !== expected) return -1;
  }
  return token;
}
