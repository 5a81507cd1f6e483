'use strict';
/**
 * The commands of the workspace. Each first installs the dependencies and builds the files that it needs; this is quick
 * if they are up to date. Notes about that go to standard error, so that standard output holds only the output of the
 * command itself.
 */

const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { buildCommonJs } = require('./cjs-files.cjs');
const { faultsOfPack } = require('./pack-faults.cjs');
const { buildWorkerFiles } = require('./worker-files.cjs');

const ROOT = path.join(__dirname, '..');
const { packageManager: PNPM } = require('../package.json');
/** Folders of all workspace packages. Each package depends only on packages before it. */
const PACKAGES = require('../tsconfig.json').references.map((reference) => reference.path);
const PUBLISHED = PACKAGES.filter((folder) => folder.startsWith('packages/'));
const INSTALL_STAMP = 'node_modules/.blobyard-installed';

const TASKS = {
  demo: (args) => runBuilt('packages/blobyard', 'demo/main.js', args),
  blobyard,
  bench: (args) => runBuilt('bench', 'main.js', args),
  conformance: (args) => runBuilt('test', 'conformance/main.js', args),
  stress: (args) => runBuilt('test', 'stress/main.js', args),
  torture: (args) => runBuilt('test', 'torture/main.js', args),
  sim: (args) => runBuilt('test', 'sim/main.js', args),
  cuts: (args) => runBuilt('test', 'cuts/main.js', args),
  fuzz: (args) => runBuilt('test', 'damage/main.js', args),
  build: () => build('.'),
  test,
  lint: (args) => {
    install();
    lint(args);
  },
  format: (args) => {
    install();
    biome('check', ['--write', ...args]);
  },
  map: () => {
    install();
    imports(['--write']);
  },
  publint: () => {
    build('.');
    publint();
  },
  'pack:check': () => {
    build('.');
    checkPacks();
  },
  clean,
};

/** A command failed, and has printed the reason itself. Its exit status is passed on. */
class CommandFailed extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

function main([name, ...args]) {
  const task = Object.hasOwn(TASKS, name ?? '') ? TASKS[name] : undefined;
  if (task === undefined) {
    console.error(`There is no command '${name ?? ''}'; the commands are ${Object.keys(TASKS).join(', ')}.`);
    process.exitCode = 2;
    return;
  }
  try {
    task(args);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    console.error(error.message);
    process.exitCode = error.status;
  }
}

/**
 * Runs everything that a change has to pass. If the build fails, nothing else is run. If a check fails, the others are
 * still run.
 */
function test(args) {
  build('.');
  const checks = { lint: () => biome('ci', []), imports, publint, packs: checkPacks, tests: () => vitest(args) };
  const failed = Object.keys(checks).filter((name) => !succeeds(checks[name]));
  if (failed.length > 0) throw new CommandFailed(`Failed: ${failed.join(', ')}.`, 1);
}

function succeeds(check) {
  try {
    check();
    return true;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return false;
  }
}

function clean() {
  for (const folder of PACKAGES) rmSync(path.join(ROOT, folder, 'dist'), { recursive: true, force: true });
  rmSync(path.join(ROOT, INSTALL_STAMP), { force: true });
}

function runBuilt(folder, entry, args) {
  build(folder);
  run(`${folder}/dist/${entry}`, process.execPath, [path.join(folder, 'dist', entry), ...args]);
}

/**
 * Runs the command `blobyard` as users run it: in the folder where npm was called, and with its own exit status, which
 * tells the ways of failing apart.
 */
function blobyard(args) {
  build('packages/blobyard');
  const main = path.join(ROOT, 'packages/blobyard/dist/cli/main.js');
  const cwd = process.env.INIT_CWD ?? process.cwd();
  const result = spawnSync(process.execPath, [main, ...args], { cwd, stdio: 'inherit' });
  if (result.error !== undefined) throw result.error;
  process.exitCode = result.status ?? 1;
}

function build(folder) {
  install();
  // The compiler prints only errors, so all its output goes to standard error.
  run('The build', process.execPath, [tool('typescript', 'tsc'), '-b', folder], { stdio: ['ignore', 2, 2] });
  try {
    buildWorkerFiles();
    buildCommonJs();
  } catch (error) {
    throw new CommandFailed(`The build of the workers' files or of the CommonJS files failed: ${error.message}`, 1);
  }
}

function biome(command, args) {
  const everything = args.some((arg) => !arg.startsWith('-')) ? [] : ['.'];
  run('The lint', process.execPath, [
    tool('@biomejs/biome', 'biome'),
    command,
    '--error-on-warnings',
    ...args,
    ...everything,
  ]);
}

/** Checks style and mistakes in the files that are named, or in all; and the imports. */
function lint(args) {
  biome('ci', args);
  imports();
}

/** Checks which package and which folder imports which, and that the maps of the imports in the docs are up to date. */
function imports(args = []) {
  run('The check of imports', process.execPath, [path.join(__dirname, 'imports/check.cjs'), ...args]);
}

function publint() {
  for (const folder of PUBLISHED) {
    runQuietly(`publint of ${folder}`, process.execPath, [tool('publint'), 'run', '--strict', '--pack', 'npm', folder]);
  }
}

/** Packs the packages as they are published, and checks what is in them. */
function checkPacks() {
  const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-packs-'));
  try {
    for (const home of PUBLISHED) {
      const file = path.join(folder, `${path.basename(home)}.tgz`);
      runQuietly(`The packing of ${home}`, 'npx', ['-y', PNPM, '--dir', home, 'pack', '--out', file], {
        shell: process.platform === 'win32',
      });
      const faults = faultsOfPack(file);
      if (faults.length > 0) throw new CommandFailed(`The pack of ${home} ${faults.join(', and ')}.`, 1);
    }
    // These are files to be copied, and export nothing.
    const types = ['--exclude-entrypoints', 'metadata-worker', 'io-worker'];
    const attw = tool('@arethetypeswrong/cli', 'attw');
    runQuietly('The check of types', process.execPath, [attw, path.join(folder, 'blobyard.tgz'), ...types]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function vitest(args) {
  run('The test run', process.execPath, [tool('vitest', 'vitest', 'test'), 'run', ...args], {
    cwd: path.join(ROOT, 'test'),
  });
}

/**
 * Installs the dependencies that the lock file names, unless they are installed: the stamp file has the hash of the
 * state that was installed last.
 */
function install() {
  const stamp = path.join(ROOT, INSTALL_STAMP);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === installedState()) return;
  console.error('Installing the dependencies…');
  runQuietly('The installation', 'npx', ['-y', PNPM, 'install', '--frozen-lockfile'], {
    shell: process.platform === 'win32',
  });
  writeFileSync(stamp, installedState());
}

/** Returns a hash of everything that an installation depends on, and of pnpm's own record of what it installed. */
function installedState() {
  const manifests = ['.', ...PACKAGES].map((folder) => `${folder}/package.json`);
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`);
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests, 'node_modules/.pnpm/lock.yaml']) {
    const full = path.join(ROOT, file);
    hash.update(`${file}\n`).update(existsSync(full) ? readFileSync(full) : '');
  }
  return hash.digest('hex');
}

/** Returns the path of the script behind a tool's command. It can then be run by the same Node.js, on every system. */
function tool(name, command = name, folder = '.') {
  const home = path.join(ROOT, folder, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(path.join(home, 'package.json'), 'utf8'));
  return path.join(home, typeof bin === 'string' ? bin : bin[command]);
}

/** Runs a command to its end. Its output goes to the terminal. Throws `CommandFailed` if it fails. */
function run(what, command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', ...options });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) throw new CommandFailed(`${what} failed.`, result.status ?? 1);
}

/** Runs a command to its end, and prints its output only if it fails. Throws `CommandFailed` then. */
function runQuietly(what, command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], ...options });
  if (result.error !== undefined) throw result.error;
  if (result.status === 0) return;
  process.stderr.write(result.stdout);
  process.stderr.write(result.stderr);
  throw new CommandFailed(`${what} failed.`, result.status ?? 1);
}

module.exports = { main };
