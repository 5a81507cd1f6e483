/** Loads packages with native code, which are not prebuilt for all platforms. */

import { createRequire } from 'node:module';

/**
 * Loads a dependency of this package at run time. Throws what `require` throws: the package may not be installed, have no
 * binary for this platform, or be refused (`--no-addons`).
 */
export function loadOptionalPackage(name: string): unknown {
  // This code may be part of a built file of another package, which does not see the dependencies of this one.
  const here = createRequire(import.meta.url).resolve('@blobyard/io/package.json');
  return createRequire(here)(name);
}
