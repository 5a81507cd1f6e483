/** Catches the errors that a test expects. */

import { BlobstoreError } from '@blobyard/core';
import { expect } from 'vitest';

/** Returns the error of an operation that throws or rejects. It must be a BlobstoreError with this code. */
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
