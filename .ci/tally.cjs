'use strict';
/**
 * Prints how many tests passed and failed in a result file of vitest; a file that ran no test and failed is one. On
 * standard error, what failed and why, once more: far above, between the results of the others, it is easily lost.
 */

const { readFileSync } = require('node:fs');
const path = require('node:path');

/** Of a failure's message: enough for the assertion and the place, not for a dump of what was compared. */
const SHOWN_CHARACTERS = 1500;

const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const brokenFiles = testResults.filter(
  (file) => file.status === 'failed' && !file.assertionResults.some((result) => result.status === 'failed'),
);

for (const { name, message } of brokenFiles) report(path.relative('', name), message);
for (const { name, assertionResults } of testResults) {
  for (const { status, fullName, failureMessages } of assertionResults) {
    if (status === 'failed') report(`${path.relative('', name)} > ${fullName}`, failureMessages.join('\n'));
  }
}
console.log(`${numPassedTests} ${numFailedTests + brokenFiles.length}`);

function report(where, message) {
  console.error(`FAILED ${where}\n${message.slice(0, SHOWN_CHARACTERS)}\n`);
}
