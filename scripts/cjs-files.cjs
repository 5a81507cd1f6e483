'use strict';
/**
 * Builds the CommonJS files of the package `blobyard` from what the compiler made of the packages, for `require` in
 * programs that cannot load ES modules: Node before 20.19, Jest. All entries share one file, so each class exists once.
 * The types are copies of the declarations, in a folder whose package.json says that they are of CommonJS modules.
 */

const { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const PACKAGES = path.join(ROOT, 'packages');
const HOME = path.join(PACKAGES, 'blobyard');
const OUT = path.join(HOME, 'dist/cjs');
const ENTRIES = ['index', 'devices', 'engine', 'types'];
const SHARED = 'shared.cjs';
const SOURCES = ['core', 'io', 'workers', 'blobyard'].map((name) => path.join(PACKAGES, name, 'dist/.tsbuildinfo'));

/**
 * In a CommonJS file, `import.meta.url` becomes `thisPackage.url`: a URL beside the modules of `@blobyard/workers`, from
 * where they find the files of their threads and the packages with native code. It is looked up when it is needed.
 */
const BANNER = `const thisPackage = {
  get url() {
    const { dirname, join } = require('node:path');
    const home = dirname(require.resolve('@blobyard/workers/package.json'));
    return require('node:url').pathToFileURL(join(home, 'dist/metadata-thread/worker-entries.js')).href;
  },
};`;

/** Does nothing when the files are newer than what they are made of. */
function buildCommonJs() {
  const last = path.join(OUT, 'package.json');
  const newest = Math.max(...[...SOURCES, __filename].map((file) => statSync(file).mtimeMs));
  if (existsSync(last) && statSync(last).mtimeMs > newest) return;
  rmSync(OUT, { recursive: true, force: true });
  require('esbuild').buildSync({
    stdin: {
      contents: ENTRIES.map((entry) => `export * as ${entry} from './${entry}.js';`).join('\n'),
      resolveDir: path.join(HOME, 'dist'),
    },
    outfile: path.join(OUT, SHARED),
    bundle: true,
    mainFields: ['module', 'main'],
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    define: { 'import.meta.url': 'thisPackage.url' },
    banner: { js: BANNER },
    logLevel: 'warning',
  });
  for (const entry of ENTRIES) {
    writeFileSync(path.join(OUT, `${entry}.cjs`), `'use strict';\nmodule.exports = require('./${SHARED}').${entry};\n`);
    copyTypes(path.join(HOME, 'dist', `${entry}.d.ts`), new Set());
  }
  writeFileSync(last, '{ "type": "commonjs" }\n');
}

/** Copies a file of declarations, and those that it imports. */
function copyTypes(file, done) {
  if (done.has(file)) return;
  done.add(file);
  const text = readFileSync(file, 'utf8').replace(/((?:from|import)\s*\(?\s*)'([^']+)'/g, (whole, before, name) => {
    const source = declarationsOf(name, file);
    if (source === undefined) return whole;
    copyTypes(source, done);
    const relative = path.relative(path.dirname(copyOf(file)), copyOf(source)).replaceAll(path.sep, '/');
    return `${before}'${relative.startsWith('.') ? '' : './'}${relative.replace(/\.d\.ts$/, '.js')}'`;
  });
  mkdirSync(path.dirname(copyOf(file)), { recursive: true });
  writeFileSync(copyOf(file), text.replace(/^\/\/# sourceMappingURL=.*\n?/m, ''));
}

/** The place of the copy: PACKAGE/dist/FILE becomes types/PACKAGE/FILE. */
function copyOf(file) {
  const [name, , ...rest] = path.relative(PACKAGES, file).split(path.sep);
  return path.join(OUT, 'types', name, ...rest);
}

/** The file of declarations that a name of this workspace stands for; undefined for others. */
function declarationsOf(name, importer) {
  if (name.startsWith('.')) return path.join(path.dirname(importer), name.replace(/\.js$/, '.d.ts'));
  const [, workspacePackage, subpath = ''] = /^@blobyard\/([^/]+)\/?(.*)$/.exec(name) ?? [];
  if (workspacePackage === undefined) return undefined;
  const { exports } = require(path.join(PACKAGES, workspacePackage, 'package.json'));
  const folder = subpath.startsWith('internal/')
    ? exports['./internal/*'].types
    : exports[subpath === '' ? '.' : `./${subpath}`].types;
  return path.join(PACKAGES, workspacePackage, folder.replace('*', subpath.slice('internal/'.length)));
}

module.exports = { buildCommonJs };
