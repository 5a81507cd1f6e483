/**
 * The engine's core uses nothing of its platform that it was not given. `npm run lint` checks the same of its imports.
 */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const DIST = fileURLToPath(new URL('../../../packages/core/dist', import.meta.url));

function builtFiles(): string[] {
  const entries = readdirSync(DIST, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.js'));
  return files.map((entry) => path.join(entry.parentPath, entry.name));
}

test('core uses no global of Node.js that a browser or a simulation lacks, except timers', () => {
  const files = builtFiles();
  expect(files.length).toBeGreaterThan(40);
  for (const file of files) {
    const code = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    const found = code.match(/\b(?:process|Buffer|__dirname|globalThis)\s*[.[(]/g) ?? [];
    expect(found, path.relative(DIST, file)).toEqual([]);
  }
});
