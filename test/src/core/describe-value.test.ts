/** Error messages show a value of the user without its contents, without control characters, and without throwing. */

import { describeValue } from '@blobyard/core/internal/describe-value';
import { describe, expect, it } from 'vitest';

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
}

const hostile = new Proxy(new Uint8Array(4), {
  get() {
    throw new Error('read');
  },
});

describe('a value in a message', () => {
  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'true'],
    [1.5, '1.5'],
    [-0, '-0'],
    [Number.NaN, 'NaN'],
    [12n, '12n'],
    [Symbol('s'), 'Symbol(s)'],
    ['text', "'text'"],
    ["it's a \\", "'it\\'s a \\\\'"],
    ['\u001b[2J\u0085\ud800', "'\\x1b[2J\\x85\\ud800'"],
    ['x'.repeat(103), `'${'x'.repeat(100)}'... 3 more characters`],
    [() => 'secret', 'a function'],
    [{ password: 'secret' }, 'an object'],
    [['secret'], 'an array of 1'],
    [Buffer.from('secret'), 'a Uint8Array of 6 bytes'],
    [new DataView(new ArrayBuffer(3)), 'a DataView of 3 bytes'],
    [new ArrayBuffer(5), 'memory of 5 bytes'],
    [new SharedArrayBuffer(7), 'memory of 7 bytes'],
  ])('%# is shown', (value, text) => {
    expect(describeValue(value)).toBe(text);
  });

  it('is described without an error, even if reading it throws', () => {
    expect([revoked(), hostile].map(describeValue)).toEqual(Array(2).fill('an object that cannot be read'));
  });
});
