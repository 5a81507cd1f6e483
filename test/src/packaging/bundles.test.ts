/** An application that is bundled, and run where the package is not installed, with and without threads. */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import { build } from 'esbuild';
import { rollup } from 'rollup';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import webpack from 'webpack';

const APP = fileURLToPath(new URL('../../dist/packaging/bundled-app.js', import.meta.url));
const WORKERS = ['metadata-worker.mjs', 'io-worker.mjs'];

type Format = 'esm' | 'cjs';
type Bundler = (format: Format, folder: string, file: string) => Promise<unknown>;

const BUNDLERS: Readonly<Record<string, Bundler>> = {
  esbuild: (format, folder, file) =>
    build({
      entryPoints: [APP],
      bundle: true,
      platform: 'node',
      format,
      outfile: path.join(folder, file),
      logLevel: 'error',
    }),
  async rollup(format, folder, file) {
    const bundle = await rollup({ input: APP, external: /^node:/, plugins: [nodeResolve()] });
    await bundle.write({ file: path.join(folder, file), format, inlineDynamicImports: true });
  },
  webpack: (format, folder, file) =>
    new Promise<void>((resolve, reject) => {
      const isModule = format === 'esm';
      const compiler = webpack({
        entry: APP,
        mode: 'production',
        optimization: { minimize: false }, // it takes most of the time
        target: 'node20',
        experiments: { outputModule: isModule },
        output: { path: folder, filename: file, library: { type: isModule ? 'module' : 'commonjs2' } },
      });
      compiler.run((error, stats) => {
        const [failure = error] = stats?.compilation.errors ?? [];
        if (failure) reject(failure);
        else resolve();
      });
    }),
};

describe.each(Object.keys(BUNDLERS))('%s', (name) => {
  describe.each(['esm', 'cjs'] as const)('to %s', (format) => {
    const file = format === 'esm' ? 'app.mjs' : 'app.cjs';
    let folder: string;

    beforeAll(async () => {
      folder = mkdtempSync(path.join(tmpdir(), 'blobyard-bundle-'));
      await BUNDLERS[name](format, folder, file);
      return () => rmSync(folder, { recursive: true, force: true });
    });

    /** Runs the bundle, and returns what it prints. */
    function run(...args: string[]): string {
      return execFileSync(process.execPath, [path.join(folder, file), ...args], {
        cwd: folder,
        encoding: 'utf8',
      }).trim();
    }

    test('runs without threads', () => {
      expect(run('0')).toBe('ok');
    });

    test('runs with threads, with the files of the workers beside it', () => {
      const beside = mkdtempSync(path.join(folder, 'workers-'));
      onTestFinished(() => rmSync(beside, { recursive: true }));
      writeFileSync(path.join(beside, 'package.json'), '{ "type": "commonjs" }');
      for (const worker of WORKERS) {
        const source = createRequire(import.meta.url).resolve(`blobyard/${path.basename(worker, '.mjs')}`);
        copyFileSync(source, path.join(beside, worker));
      }
      expect(run('1', ...WORKERS.map((worker) => path.join(beside, worker)))).toBe('ok');
    });

    test(name === 'webpack' ? 'has the files of the workers itself' : 'says how to run with threads', () => {
      expect(run('1')).toMatch(
        name === 'webpack' ? /^ok$/ : /^ENOTSUP: .*keep the package blobyard external.*option workers/,
      );
    });
  });
});
