/** Errors as a test looks at them. */

import { BlobstoreError } from '@blobyard/core';
import { expect } from 'vitest';

/** The error that an operation fails with, whether it throws or rejects; it must be one of ours with this code. */
export async function failure(code: string, operation: () => unknown): Promise<BlobstoreError> {
  let caught: unknown;
  try {
    await operation();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(BlobstoreError);
  const error = caught as BlobstoreError;
  expect(error.code, error.message).toBe(code);
  return error;
}
