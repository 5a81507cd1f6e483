'use strict';
/**
 * Checks the imports in packages/*\/src against the rules (`rules.cjs`), and that the maps in docs/ARCHITECTURE.md show
 * the imports as they are.
 *
 *   node scripts/imports/check.cjs [--write] [FOLDER]
 *
 * `--write` brings the maps up to date. FOLDER is checked instead of this workspace; for tests.
 */

const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { PACKAGES } = require('./floors.cjs');
const { withMaps } = require('./map.cjs');
const { RULES } = require('./rules.cjs');

const DOCUMENT = 'docs/ARCHITECTURE.md';

async function main(args) {
  const mayWrite = args.includes('--write');
  const [folder = path.join(__dirname, '../..')] = args.filter((arg) => !arg.startsWith('--'));
  const { cruise, format } = await import('dependency-cruiser');
  const sources = PACKAGES.map((each) => `${each.folder}/src`).filter((source) =>
    existsSync(path.join(folder, source)),
  );
  const { output } = await cruise(sources, {
    baseDir: path.resolve(folder),
    ruleSet: RULES,
    validate: true,
    tsPreCompilationDeps: true,
    doNotFollow: { path: ['node_modules', '/dist/'] },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import'] },
  });
  const isOrderly = output.summary.error === 0;
  const report = await format(output, { outputType: 'err-long' });
  (isOrderly ? process.stdout : process.stderr).write(report.output);
  const areMapsTrue = checkMaps(path.join(folder, DOCUMENT), output.modules, mayWrite);
  process.exitCode = isOrderly && areMapsTrue ? 0 : 1;
}

/** Returns whether the maps are up to date, or have just been brought up to date. */
function checkMaps(file, modules, mayWrite) {
  const text = readFileSync(file, 'utf8');
  const drawn = withMaps(text, modules);
  if (drawn === text) return true;
  if (mayWrite) writeFileSync(file, drawn);
  else console.error(`The maps in ${DOCUMENT} are out of date: npm run map brings them up to date.`);
  return mayWrite;
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
