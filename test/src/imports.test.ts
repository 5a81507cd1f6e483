/** The check of imports of `npm run lint` refuses each kind of wrong import. Tested on a small workspace of its own. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ran, runFile } from './run-command.js';

const CHECK = fileURLToPath(new URL('../../scripts/imports/check.cjs', import.meta.url));
const DOCUMENT = 'docs/ARCHITECTURE.md';

const place = (name: string) => `<!-- map of ${name}: made by npm run map -->\n<!-- end of map -->\n`;

const WORKSPACE = {
  'packages/core/src/units/units.ts': 'export interface Unit { readonly one: 1 }\n',
  'packages/core/src/steps/steps.ts': "export type { Unit } from '../units/units.js';\n",
  'packages/core/src/format/page.ts': "export type { Unit } from '../units/units.js';\n",
  'packages/core/src/shared/words.ts': "import type { Unit } from '../units/units.js';\nexport type Words = Unit;\n",
  'packages/core/src/engine/engine.ts': "export type { Words } from '../shared/words.js';\n",
  'packages/core/src/index.ts': "export type { Words } from './engine/engine.js';\n",
  'packages/io/src/index.ts': "import { open } from 'node:fs';\nexport type { Words } from '@blobyard/core';\nopen;\n",
  'packages/workers/src/api/words.ts': "export type { Words } from '@blobyard/core';\nexport * from '@blobyard/io';\n",
  'packages/workers/src/open/open.ts': "export * from '../api/words.js';\n",
  'packages/workers/src/index.ts': "export * from './open/open.js';\n",
  'packages/blobyard/src/index.ts': "export * from '@blobyard/workers';\n",
  [DOCUMENT]: ['packages', 'packages/core', 'packages/workers'].map(place).join('\n'),
};

/** Files that are added to the workspace, each with a wrong import and the rule that refuses it. */
const WRONG: readonly (readonly [what: string, file: string, text: string, rule: string])[] = [
  [
    'a type of a higher floor',
    'packages/core/src/units/upwards.ts',
    "import type { Words } from '../shared/words.js';\nexport type More = Words;\n",
    'packages/core-units-imports-upwards',
  ],
  [
    'a floor beside this one',
    'packages/core/src/format/sideways.ts',
    "export type { Words } from '../shared/words.js';\n",
    'packages/core-format-imports-upwards',
  ],
  [
    'what the package exports, from within',
    'packages/core/src/engine/roof.ts',
    "export type { Words } from '../index.js';\n",
    'packages/core-engine-imports-upwards',
  ],
  [
    'anything, from a folder that is no floor',
    'packages/core/src/utils/more.ts',
    "export type { Unit } from '../units/units.js';\n",
    'packages/core-outside-of-floors',
  ],
  [
    'types in a circle',
    'packages/io/src/egg.ts',
    "import type { Hen } from './hen.js';\nexport interface Egg { readonly of: Hen }\n",
    'no-circle',
  ],
  [
    'types in a circle, from the other side',
    'packages/io/src/hen.ts',
    "import type { Egg } from './egg.js';\nexport interface Hen { readonly from: Egg }\n",
    'no-circle',
  ],
  [
    'a module of Node.js, in core',
    'packages/core/src/engine/platform.ts',
    "export { readFileSync } from 'node:fs';\n",
    'packages/core-is-alone',
  ],
  [
    'a higher room of workers',
    'packages/workers/src/api/upwards.ts',
    "export type { Words } from '../open/open.js';\n",
    'packages/workers-api-imports-upwards',
  ],
  ['a higher package', 'packages/io/src/upwards.ts', "import '@blobyard/workers';\n", 'packages/io-imports-upwards'],
  [
    'a file of another package',
    'packages/io/src/inside.ts',
    "export type { Unit } from '../../core/src/units/units.js';\n",
    'no-inside-of-another-package',
  ],
];

const folder = mkdtempSync(path.join(os.tmpdir(), 'blobyard-imports-'));

beforeAll(() => {
  for (const [file, text] of Object.entries(WORKSPACE)) put(file, text);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function put(file: string, text: string): void {
  mkdirSync(path.join(folder, path.dirname(file)), { recursive: true });
  writeFileSync(path.join(folder, file), text);
}

function check(...options: string[]): Promise<Ran> {
  return runFile(CHECK, [...options, folder]);
}

test('correct imports pass after the maps were drawn, and not before', async () => {
  const before = await check();
  expect(before.code).toBe(1);
  expect(before.stderr).toContain('npm run map');
  expect((await check('--write')).code).toBe(0);
  const drawn = readFileSync(path.join(folder, DOCUMENT), 'utf8');
  expect(drawn).toContain('n_packages_workers --> n_packages_io\n');
  expect(drawn).toContain('n_engine --> n_shared\n');
  expect(drawn).toContain('n_open --> n_api\n');
  expect(drawn).not.toContain('n_engine --> n_units\n'); // the map omits an arrow that follows from others
  expect(await check()).toMatchObject({ code: 0, stderr: '' });
});

describe('refused is the import of', () => {
  let ran: Ran;

  beforeAll(async () => {
    for (const [, file, text] of WRONG) put(file, text);
    ran = await check();
  });

  test.each(WRONG)('%s', (_, file, __, rule) => {
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`error ${rule}: ${file}`);
  });

  test('nothing else', () => {
    const refused = new Set(ran.stderr.match(/error [^:]+: \S+/g));
    const wanted = WRONG.map(([, file, , rule]) => `error ${rule}: ${file}`);
    expect([...refused].filter((each) => !wanted.includes(each))).toEqual([]);
  });
});
