/** Errors that are sent from one thread to another. */

import { BlobstoreError, DamagedStoreError } from 'blobyard';
import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../../packages/core/dist/units/error.js';
import { CauseElsewhere, fromWire, toWire } from '../../../packages/workers/dist/threads/wire-error.js';

/** The error as it arrives on another thread. */
function sent(error: unknown): Error {
  return fromWire(structuredClone(toWire(error)));
}

describe('an error that goes to another thread', () => {
  test('keeps its class, its code, its message and its causes', () => {
    const cause = new BlobstoreError('ENOSPC', 'no cluster', { cause: new TypeError('why') });
    const error = sent(new BlobstoreError('EIO', 'the device failed', { cause }));
    expect(error).toBeInstanceOf(BlobstoreError);
    expect(error).toMatchObject({ name: 'BlobstoreError', code: 'EIO', errno: -5, message: 'the device failed' });
    expect(error.cause).toBeInstanceOf(BlobstoreError);
    expect(error.cause).toMatchObject({ code: 'ENOSPC', cause: { name: 'TypeError', message: 'why' } });
    expect(error.stack).toContain('wire-error.test');
  });

  test('stays an InvariantError', () => {
    const error = sent(new InvariantError('freed twice'));
    expect(error).toBeInstanceOf(InvariantError);
    expect(error.message).toBe('blobyard bug: freed twice');
  });

  test('keeps a cause of any kind, and the text of one that cannot be posted', () => {
    expect(sent(new BlobstoreError('EIO', 'a', { cause: { number: 7n } })).cause).toEqual({ number: 7n });
    expect(sent(new BlobstoreError('EIO', 'a', { cause: () => 1 })).cause).toBe('() => 1');
    expect(sent(new BlobstoreError('EIO', 'a'))).not.toHaveProperty('cause');
    expect(sent(new BlobstoreError('EIO', 'a', { cause: null })).cause).toBeNull();
    expect(sent('only text').message).toBe('only text');
    const elsewhere = sent(new BlobstoreError('ECANCELED', 'a', { cause: new CauseElsewhere('signal') })).cause;
    expect(elsewhere).toBeInstanceOf(CauseElsewhere);
  });

  test('keeps its list of damaged blobs', () => {
    const error = sent(new DamagedStoreError('two', [{ id: 5n, error: new BlobstoreError('EINVAL', 'page 5') }]));
    expect(error).toBeInstanceOf(DamagedStoreError);
    expect(error).toMatchObject({ code: 'EILSEQ', message: 'two', damaged: [{ id: 5n }] });
    expect((error as DamagedStoreError).damaged[0].error).toMatchObject({ code: 'EINVAL', message: 'page 5' });
  });

  test('can be sent even if its causes form a circle', () => {
    const circle = new Error('round');
    circle.cause = circle;
    expect(sent(circle).message).toBe('round');
  });
});
