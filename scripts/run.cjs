'use strict';
/*
 * The entry of every npm script. It uses only syntax that very old versions of Node.js can read, so that a user of such
 * a version gets the message below, and no syntax error. The commands themselves are in tasks.cjs.
 */

const REQUIRED_MAJOR = 20;

if (Number(process.versions.node.split('.')[0]) < REQUIRED_MAJOR) {
  console.error(`Blobyard needs Node.js ${REQUIRED_MAJOR} or newer, and this is ${process.version}.`);
  process.exit(1);
}

require('./tasks.cjs').main(process.argv.slice(2));
