/** The conformance traces that the project carries, each as a test: a real SPDK blobstore's answers, down to image hashes. */

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { describeMismatch, replay } from './replay.js';
import { findTraces, readTrace } from './trace.js';

const FOLDER = fileURLToPath(new URL('../../traces', import.meta.url));

describe.each(['directed', 'random'])('conformance: %s traces', (set) => {
  const files = findTraces(path.join(FOLDER, set));

  it('are there', () => {
    expect(files.length).toBeGreaterThan(30);
  });

  it.each(files.map((file) => [path.basename(file).replace(/\.trace\..*$/, ''), file]))('%s', (_, file) => {
    const mismatch = replay(readTrace(file), { verify: true });
    expect(mismatch && describeMismatch(mismatch)).toBeUndefined();
  });
});

describe('the conformance runner', () => {
  it('names the first difference', () => {
    const [file] = findTraces(path.join(FOLDER, 'directed'));
    const trace = readTrace(file);
    const wrong = trace.operations.findIndex(({ op }) => op === 'bsstat' || op === 'image' || op === 'stat');
    trace.expected[wrong] = { ...trace.expected[wrong], rc: -1 };
    expect(replay(trace)).toMatchObject({ line: wrong + 1, wanted: { rc: -1 } });
  });
});
