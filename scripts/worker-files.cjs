'use strict';
/**
 * Builds the entry of each worker thread into one file, from the compiled packages: a thread then loads one module, not
 * some 180. Source maps lead back to the TypeScript sources. third-party.txt has the licenses of the packages of others
 * that became part of the files.
 */

const { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const HOME = path.join(ROOT, 'packages/workers');
const OUT = path.join(HOME, 'dist/built');
/** The package that users depend on has copies of the files, for applications that are bundled. */
const COPIES = path.join(ROOT, 'packages/blobyard/dist/workers');
/** Entries in dist of packages/workers. */
const ENTRIES = ['io-pool/io-worker.js', 'metadata-thread/metadata-worker.js'];
/**
 * The files from which the times are taken: the compiler's record of a build is newer than everything that it has
 * emitted.
 */
const SOURCES = [
  ...['core', 'io', 'workers'].map((name) => path.join(ROOT, 'packages', name, 'dist/.tsbuildinfo')),
  path.join(HOME, 'package.json'),
  __filename,
];

/** Does nothing when the built files are newer than their sources: another process may be loading them just now. */
function buildWorkerFiles() {
  const built = ENTRIES.map((entry) => path.join(OUT, `${path.basename(entry, '.js')}.mjs`));
  const newest = Math.max(...SOURCES.map((file) => statSync(file).mtimeMs));
  if (built.every((file) => existsSync(file) && statSync(file).mtimeMs > newest)) return;
  rmSync(OUT, { recursive: true, force: true });
  const { metafile } = require('esbuild').buildSync({
    absWorkingDir: HOME,
    entryPoints: ENTRIES.map((entry) => path.join(HOME, 'dist', entry)),
    entryNames: '[name]',
    outdir: OUT,
    outExtension: { '.js': '.mjs' }, // an ES module wherever the file is copied to
    bundle: true,
    external: ['fs-native-extensions', 'koffi'], // these packages find their binaries by the path of their own files
    mainFields: ['module', 'main'],
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    logLevel: 'warning',
    metafile: true,
  });
  writeFileSync(path.join(OUT, 'third-party.txt'), licensesOf(Object.keys(metafile.inputs)).join('\n\n'));
  mkdirSync(COPIES, { recursive: true });
  for (const file of [...built, path.join(OUT, 'third-party.txt')])
    cpSync(file, path.join(COPIES, path.basename(file)));
}

/** Returns the names, versions and licenses of the packages in node_modules to which the modules belong. */
function licensesOf(modules) {
  const homes = modules.flatMap((module) => module.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/)?.[0] ?? []);
  return [...new Set(homes)].sort().map((home) => {
    const folder = path.join(HOME, home);
    const { name, version } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    return `${name} ${version}\n\n${readFileSync(path.join(folder, 'LICENSE'), 'utf8')}`;
  });
}

module.exports = { buildWorkerFiles };
