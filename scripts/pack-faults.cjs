'use strict';
/** What is wrong with a packed package: files that are missing, or that nobody needs, or a package.json of the workspace. */

const { readFileSync } = require('node:fs');
const { gunzipSync } = require('node:zlib');

const NEEDED = ['package.json', 'README.md', 'LICENSE'];
const UNWANTED = /\.map$|\.tsbuildinfo$|^dist\/demo\//;
/** A tar file is a header of this length for each file, and its content, filled up to a multiple of it. */
const TAR_BLOCK_BYTES = 512;
const NAME_BYTES = 100;
const SIZE_BYTE = 124;
const SIZE_BYTES = 12;
const PREFIX_BYTE = 345;
const PREFIX_BYTES = 155;

/** Returns the faults, each as the end of a sentence about the pack. */
function faultsOfPack(file) {
  const files = filesOf(file);
  const manifest = files.get('package.json')?.toString() ?? '';
  const needed = manifest.includes('"name": "blobyard"') ? [...NEEDED, 'CHANGELOG.md'] : NEEDED;
  const faults = needed.filter((name) => !files.has(name)).map((name) => `has no ${name}`);
  const unwanted = [...files.keys()].filter((name) => UNWANTED.test(name));
  if (unwanted.length > 0) faults.push(`has ${unwanted.length} files that nobody needs, such as ${unwanted[0]}`);
  if (manifest.includes('workspace:')) faults.push('depends on workspace:*');
  return faults;
}

/** The files of a packed package, by their names in its folder. */
function filesOf(file) {
  const tar = gunzipSync(readFileSync(file));
  const files = new Map();
  for (let at = 0; tar[at] > 0; ) {
    const text = (from, length) => tar.toString('utf8', at + from, at + from + length).replace(/\0.*$/s, '');
    const sizeBytes = Number.parseInt(text(SIZE_BYTE, SIZE_BYTES), 8);
    const prefix = text(PREFIX_BYTE, PREFIX_BYTES);
    const name = `${prefix === '' ? '' : `${prefix}/`}${text(0, NAME_BYTES)}`;
    const begin = at + TAR_BLOCK_BYTES;
    files.set(name.replace(/^package\//, ''), tar.subarray(begin, begin + sizeBytes));
    at = begin + Math.ceil(sizeBytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
  }
  return files;
}

module.exports = { faultsOfPack };
