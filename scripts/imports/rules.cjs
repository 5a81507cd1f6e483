'use strict';
/**
 * The rules of dependency-cruiser that follow from the floors. There are no exceptions. An import of a type counts,
 * too.
 */

const { PACKAGES, importOf, filesIn } = require('./floors.cjs');

function packageRules() {
  const rules = [
    { name: 'no-circle', comment: 'Imports do not go in circles, types included.', from: {}, to: { circular: true } },
    {
      name: 'no-inside-of-another-package',
      comment: 'Another package is imported by its name, not by the path of a file in it.',
      from: { path: '^packages/([^/]+)/' },
      to: { path: '^packages/', pathNot: '^packages/$1/', dependencyTypes: ['local'] },
    },
  ];
  PACKAGES.forEach((each, index) => {
    const from = { path: `^${each.folder}/src/` };
    const above = PACKAGES.slice(index + 1);
    if (above.length > 0) {
      rules.push({
        name: `${each.folder}-imports-upwards`,
        comment: `${each.folder} imports no package above it (scripts/imports/floors.cjs).`,
        from,
        to: { path: above.map(importOf) },
      });
    }
    if (each.isAlone) {
      rules.push({
        name: `${each.folder}-is-alone`,
        comment: `${each.folder} imports nothing but its own files: no package, and no module of Node.js.`,
        from,
        to: { pathNot: from.path },
      });
    }
  });
  return rules;
}

function floorRules(each) {
  const files = `^${each.folder}/src/`;
  const all = each.floors.flat();
  const below = [];
  const rules = [
    {
      name: `${each.folder}-outside-of-floors`,
      comment: `The files of ${each.folder} lie in its floors (scripts/imports/floors.cjs).`,
      from: { path: files, pathNot: [filesIn(each, all), `${files}index\\.ts$`] },
      to: {},
    },
    {
      name: `${each.folder}-exports-no-floor`,
      comment: `index.ts of ${each.folder} exports what is in its floors.`,
      from: { path: `${files}index\\.ts$` },
      to: { path: files, pathNot: filesIn(each, all) },
    },
  ];
  for (const row of each.floors) {
    for (const floor of row) {
      rules.push({
        name: `${each.folder}-${floor}-imports-upwards`,
        comment: `${floor}/ imports only itself and what is below it: ${below.join(', ') || 'nothing'}.`,
        from: { path: filesIn(each, [floor]) },
        to: { path: files, pathNot: filesIn(each, [floor, ...below]) },
      });
    }
    below.push(...row);
  }
  return rules;
}

const rules = [...packageRules(), ...PACKAGES.filter(({ floors }) => floors).flatMap(floorRules)];

module.exports = { RULES: { forbidden: rules.map((rule) => ({ severity: 'error', ...rule })) } };
