/** Formats the report of a check for people. */

import { type CheckReport, type Finding, isRepairable } from '@blobyard/core';
import { countText, printable } from './text.js';

/** One line for each finding, then one sentence as the summary. */
export function reportText(report: CheckReport): string {
  return [...report.findings.map(findingText), summaryText(report), ''].join('\n');
}

function findingText({ severity, message, outcome }: Finding): string {
  const became = outcome === 'found' ? '' : ` (${outcome})`;
  return `${severity}${became}: ${printable(message)}`;
}

function summaryText(report: CheckReport): string {
  const { outcome, findings, summary } = report;
  if (outcome === 'unchecked') {
    const isThere = findings.some(({ kind }) => kind === 'unsupported');
    return isThere ? 'Not checked: this version cannot read the store.' : 'Not checked: there is no store here.';
  }
  const left = findings.filter((each) => each.severity === 'damage' && each.outcome !== 'repaired').length;
  const damaged = `Damaged: ${countText(left, 'finding')}`;
  if (!summary) return `${damaged}; without its super block the store can be neither read nor repaired.`;
  const { blobCount, usedClusters, freeClusters, mdPagesUsed } = summary;
  const has = `${countText(blobCount, 'blob')} with ${countText(usedClusters, 'cluster')} and ${countText(mdPagesUsed, 'metadata page')}`;
  const contents = `${has}; ${countText(freeClusters, 'cluster')} free.`;
  if (outcome === 'clean') return `Nothing is wrong: ${contents}`;
  if (outcome === 'repaired') {
    return `Repaired: ${countText(findings.filter((each) => each.outcome === 'repaired').length, 'finding')}. Now there are ${contents}`;
  }
  const advice = isRepairable(report)
    ? 'run check --repair to repair what can be repaired'
    : 'this cannot be repaired without losing something';
  return `${damaged}; ${advice}. Found: ${contents}`;
}
