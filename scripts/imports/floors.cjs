'use strict';
/**
 * Which package, and which folder, may import which: the packages from the lowest to the highest, and the folders of a
 * package in the same way. A new folder needs an entry here, and nothing else.
 */

/**
 * Each package imports only packages that stand before it. `floors`: each folder imports only folders in the rows
 * before its own; the folders in one row do not import each other. `isAlone`: the package imports nothing but its own
 * files, no module of Node.js either.
 */
const PACKAGES = [
  {
    folder: 'packages/core',
    name: '@blobyard/core',
    isAlone: true,
    floors: [
      ['units'],
      ['steps'],
      ['device'],
      ['format', 'shared'],
      ['blob'],
      ['state'],
      ['channel'],
      ['metadata'],
      ['survey'],
      ['store'],
      ['check'],
      ['engine'],
    ],
  },
  { folder: 'packages/io', name: '@blobyard/io' },
  {
    folder: 'packages/workers',
    name: '@blobyard/workers',
    floors: [
      ['api', 'streams', 'threads'],
      ['checks'],
      ['data', 'devices'],
      ['ports'],
      ['blob', 'calls'],
      ['mailbox', 'store'],
      ['attached', 'local'],
      ['io-pool'],
      ['metadata-thread'],
      ['open'],
    ],
  },
  { folder: 'packages/blobyard', name: 'blobyard' },
];

/**
 * Returns a pattern for what an import of the package resolves to: one of its files, or its name if it has not been
 * built.
 */
function importOf({ folder, name }) {
  return `^(${folder}/|${name}(/|$))`;
}

/** Returns a pattern for the files in some of a package's folders. */
function filesIn({ folder }, floors) {
  return `^${folder}/src/(${floors.join('|')})/`;
}

module.exports = { PACKAGES, importOf, filesIn };
