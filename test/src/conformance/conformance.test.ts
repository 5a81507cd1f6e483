/**
 * The conformance traces of the project, each as a test. Every answer of an engine, with the hashes of the disk image,
 * must be that of a real SPDK blobstore.
 */

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { ENGINE_NAMES, ENGINES } from './engines.js';
import { describeMismatch, replay } from './replay.js';
import { findTraces, readTrace } from './trace.js';

const FOLDER = fileURLToPath(new URL('../../traces', import.meta.url));

describe.each(ENGINE_NAMES)('conformance of the engine %s', (name) => {
  const engine = ENGINES[name]();
  afterAll(() => engine.close());

  describe.each(['directed', 'random'])('%s traces', (set) => {
    const files = findTraces(path.join(FOLDER, set));

    it('exist', () => {
      expect(files.length).toBeGreaterThan(30);
    });

    it.each(files.map((file) => [path.basename(file).replace(/\.trace\..*$/, ''), file]))('%s', async (_, file) => {
      const mismatch = await replay(readTrace(file), engine, { verify: true });
      expect(mismatch && describeMismatch(mismatch)).toBeUndefined();
    });
  });
});

describe('a replay', () => {
  it('reports the first answer that differs', async () => {
    const [file] = findTraces(path.join(FOLDER, 'directed'));
    const trace = readTrace(file);
    const wrong = trace.operations.findIndex(({ op }) => op === 'bsstat' || op === 'image' || op === 'stat');
    trace.expected[wrong] = { ...trace.expected[wrong], rc: -1 };
    const mismatch = await replay(trace, ENGINES.inline());
    expect(mismatch).toMatchObject({ line: wrong + 1, wanted: { rc: -1 } });
  });
});
