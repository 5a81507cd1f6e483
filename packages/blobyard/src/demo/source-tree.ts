/** The files that the demo stores: those of this repository, or of the installed package. */

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const EXCLUDED = new Set(['node_modules', '.git', 'dist']);
const FILE_BYTES_MAX = 8 << 20;
const TOTAL_BYTES_MAX = 24 << 20;

export interface SourceFile {
  /** Relative to the tree's root. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Reads the files of the tree in the order of paths: up to 8 MiB each, 24 MiB in all. Skips larger and empty files. */
export async function readSourceTree(): Promise<SourceFile[]> {
  const root = treeRoot();
  const files: SourceFile[] = [];
  let total = 0;
  for (const file of await filesBelow(root)) {
    const bytes = await readFile(file);
    if (bytes.length === 0 || bytes.length > FILE_BYTES_MAX || total + bytes.length > TOTAL_BYTES_MAX) continue;
    total += bytes.length;
    files.push({ path: path.relative(root, file), bytes });
  }
  return files;
}

/** The repository that the demo was built in; in an installed package, the folder of the built files. */
function treeRoot(): string {
  const here = path.dirname(fileURLToPath(import.meta.url));
  const repository = path.resolve(here, '../../../..');
  return existsSync(path.join(repository, 'pnpm-workspace.yaml')) ? repository : path.resolve(here, '..');
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory() && !EXCLUDED.has(entry.name)) files.push(...(await filesBelow(full)));
    else if (entry.isFile()) files.push(full);
  }
  return files;
}
