/** The engine's core reaches nothing of its platform: what it has, it was given. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const DIST = fileURLToPath(new URL('../../../packages/core/dist', import.meta.url));
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)(['"])([^'"]+)\1/g;

function builtFiles(): string[] {
  const entries = readdirSync(DIST, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.js'));
  return files.map((entry) => path.join(entry.parentPath, entry.name));
}

/** What a file imports, without comments being taken for code. */
function importsOf(file: string): string[] {
  const code = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  return [...code.matchAll(IMPORT)].map((match) => match[2]);
}

test('the scan sees the imports that there are', () => {
  const files = builtFiles();
  expect(files.length).toBeGreaterThan(40);
  const blobstore = files.find((file) => file.endsWith(path.join('engine', 'blobstore.js')));
  expect(importsOf(blobstore ?? '')).toContain('../store/load.js');
});

test('core imports only its own files', () => {
  for (const file of builtFiles()) {
    for (const name of importsOf(file)) {
      const target = path.relative(DIST, path.resolve(path.dirname(file), name));
      const isOwn = name.startsWith('.') && !target.startsWith('..');
      expect(isOwn, `${path.relative(DIST, file)} imports '${name}'`).toBe(true);
    }
  }
});

test('core names no global of Node.js that a browser or a simulation lacks, but for timers', () => {
  for (const file of builtFiles()) {
    const code = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    const found = code.match(/\b(?:process|Buffer|__dirname|globalThis)\s*[.[(]/g) ?? [];
    expect(found, path.relative(DIST, file)).toEqual([]);
  }
});
