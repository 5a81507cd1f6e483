/** Paths of files, as Node's `fs` takes them. */

import { fileURLToPath } from 'node:url';
import { BlobstoreError } from '@blobyard/core';
import { checkText, invalid } from '@blobyard/core/internal/argument-checks';

/** The path of a file: text, the bytes of text in UTF-8, or a URL of the scheme `file:`. */
export type FilePath = string | Buffer | URL;

/** Returns a path as text. Throws EINVAL for anything that is not a path, and for bytes that are not UTF-8. */
export function checkPath(name: string, value: unknown): string {
  if (value instanceof URL) return checkText(name, pathOf(name, value));
  if (!Buffer.isBuffer(value)) return checkText(name, value);
  const text = value.toString();
  if (Buffer.compare(Buffer.from(text), value) === 0) return checkText(name, text);
  throw new BlobstoreError('EINVAL', `${name} has bytes that are not UTF-8; no other paths are supported`);
}

function pathOf(name: string, url: URL): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw invalid(name, url.href, 'the URL of a file, such as file:///srv/yard.img');
  }
}
