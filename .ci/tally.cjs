'use strict';
/** Prints how many tests passed and failed in a result file of vitest; a file that ran no test and failed is one. */

const { readFileSync } = require('node:fs');

const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const brokenFiles = testResults.filter(
  (file) => file.status === 'failed' && !file.assertionResults.some((result) => result.status === 'failed'),
);
console.log(`${numPassedTests} ${numFailedTests + brokenFiles.length}`);
