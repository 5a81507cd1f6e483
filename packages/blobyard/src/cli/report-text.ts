/** What a check found, for people. */

import type { CheckReport, Finding } from '@blobyard/core';
import { countText, printable } from './text.js';

/** One line for each finding, and then a sentence about all. @param repair - whether repairing was asked for */
export function reportText(report: CheckReport, repair: boolean): string {
  return [...report.findings.map(findingText), summaryText(report, repair), ''].join('\n');
}

function findingText({ severity, message, outcome }: Finding): string {
  const became = outcome === 'found' ? '' : ` (${outcome})`;
  return `${severity}${became}: ${printable(message)}`;
}

function summaryText({ outcome, findings, summary }: CheckReport, repair: boolean): string {
  const { blobCount, usedClusters, freeClusters, mdPagesUsed } = summary;
  const has = `${countText(blobCount, 'blob')} with ${countText(usedClusters, 'cluster')} and ${countText(mdPagesUsed, 'metadata page')}`;
  const contents = `${has}; ${countText(freeClusters, 'cluster')} free.`;
  if (outcome === 'clean') return `Nothing is wrong: ${contents}`;
  if (outcome === 'repaired') {
    return `Repaired: ${countText(findings.filter((each) => each.outcome === 'repaired').length, 'finding')}. Now there are ${contents}`;
  }
  const left = findings.filter((each) => each.severity === 'damage' && each.outcome !== 'repaired').length;
  const advice = repair ? 'this cannot be repaired without losing something' : '--repair repairs what can be';
  return `Damaged: ${countText(left, 'finding')}; ${advice}. Found: ${contents}`;
}
