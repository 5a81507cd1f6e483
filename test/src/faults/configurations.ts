/** The configurations with which every scenario runs. */

import type { Configuration } from './yard.js';

const SMALL = { blockLengthBytes: 512, clusterBytes: 8192, clusterCount: 88, mdPageCount: 48 } as const;
const PAGES = { blockLengthBytes: 4096, clusterBytes: 16384, clusterCount: 60, mdPageCount: 40 } as const;

export const CONFIGURATIONS: readonly Configuration[] = [
  { ...SMALL, durability: 'process-crash', useExtentTable: true, canCopy: true },
  { ...PAGES, durability: 'power-loss', useExtentTable: true, canCopy: false },
  { ...PAGES, durability: 'process-crash', useExtentTable: false, canCopy: false },
  { ...SMALL, durability: 'power-loss', useExtentTable: false, canCopy: true },
];
