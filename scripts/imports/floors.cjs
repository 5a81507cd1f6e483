'use strict';
/**
 * Who may import what: the packages from the lowest to the highest, and in a package its folders likewise. This is all that has
 * to be said of a new folder, or of a package that gets floors.
 */

/**
 * Each package imports only packages that stand before it. `floors`: each folder imports only folders that stand before it;
 * those in one row are beside each other, and do not know of each other. `isAlone`: it imports nothing from outside, Node.js
 * included.
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

/** Matches what an import of the package resolves to: a file of it, or its name where it has not been built. */
function importOf({ folder, name }) {
  return `^(${folder}/|${name}(/|$))`;
}

/** Matches the files in some of a package's folders. */
function filesIn({ folder }, floors) {
  return `^${folder}/src/(${floors.join('|')})/`;
}

module.exports = { PACKAGES, importOf, filesIn };
