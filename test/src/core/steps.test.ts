/** Operations as steps: `run` and `runSync`, and batches of device operations. */

import { BlobstoreError, run, runSync, type Steps, wait } from '@blobyard/core';
import { describe, expect, test, vi } from 'vitest';
import { Batch } from '../../../packages/core/dist/steps/batch.js';

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

function* waitTwice(log: string[]): Steps<number> {
  const first = (yield Promise.resolve(1)) as number;
  log.push(`got ${first}`);
  const second = yield* wait(Promise.resolve(2));
  log.push(`got ${second}`);
  return first + second;
}

describe('run', () => {
  test('waits for promises, and gives their values to the steps', async () => {
    const log: string[] = [];
    expect(await run(waitTwice(log))).toBe(3);
    expect(log).toEqual(['got 1', 'got 2']);
  });

  test('starts at once, and runs up to the first wait', async () => {
    const log: string[] = [];
    function* steps(): Steps<void> {
      log.push('began');
      yield tick();
      log.push('ended');
    }
    const running = run(steps());
    expect(log).toEqual(['began']);
    await running;
    expect(log).toEqual(['began', 'ended']);
  });

  test('throws a rejection at the step that waits for it, where it can be caught', async () => {
    function* steps(): Steps<string> {
      try {
        yield Promise.reject(new Error('lost'));
      } catch (error) {
        return `caught ${(error as Error).message}`;
      }
      return 'not caught';
    }
    expect(await run(steps())).toBe('caught lost');
  });

  test('rejects with the error that is thrown, at once or later, and runs finally blocks', async () => {
    const log: string[] = [];
    function* steps(late: boolean): Steps<void> {
      try {
        if (late) yield tick();
        throw new Error('broken');
      } finally {
        log.push(`cleaned up ${late}`);
      }
    }
    await expect(run(steps(false))).rejects.toThrow('broken');
    await expect(run(steps(true))).rejects.toThrow('broken');
    expect(log).toEqual(['cleaned up false', 'cleaned up true']);
  });

  test('can wait in a finally block', async () => {
    const log: string[] = [];
    function* steps(): Steps<void> {
      try {
        yield Promise.reject(new Error('lost'));
      } finally {
        yield tick();
        log.push('cleaned up');
      }
    }
    await expect(run(steps())).rejects.toThrow('lost');
    expect(log).toEqual(['cleaned up']);
  });

  test('gives the event loop a turn at the pauses of long work', async () => {
    let turns = 0;
    let ended = false;
    const count = () => {
      turns++;
      if (!ended) setImmediate(count);
    };
    setImmediate(count);
    function* steps(): Steps<void> {
      const until = performance.now() + 10_000;
      while (turns < 3 && performance.now() < until) yield undefined;
    }
    await run(steps());
    ended = true;
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  test('gives none at the pauses of short work', async () => {
    let turns = 0;
    setImmediate(() => turns++);
    function* steps(): Steps<void> {
      for (let at = 0; at < 100; at++) yield undefined;
    }
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1000); // no time passes, however busy the machine is
    try {
      await run(steps());
    } finally {
      clock.mockRestore();
    }
    expect(turns).toBe(0);
  });

  test('pauses by the function that it is given', async () => {
    let pauses = 0;
    function* steps(): Steps<string> {
      yield undefined;
      yield undefined;
      return 'done';
    }
    const pause = async () => {
      pauses++;
      await tick();
    };
    expect(await run(steps(), pause)).toBe('done');
    expect(pauses).toBe(2);
  });
});

describe('runSync', () => {
  test('skips pauses, and returns the result', () => {
    function* steps(): Steps<number> {
      yield undefined;
      const value = yield* wait(5);
      yield undefined;
      return value;
    }
    expect(runSync(steps())).toBe(5);
  });

  test('throws ENOTSUP where it would have to wait, and lets the operation clean up', () => {
    const log: string[] = [];
    function* steps(): Steps<void> {
      try {
        yield tick();
        log.push('went on');
      } finally {
        log.push('cleaned up');
      }
    }
    expect(() => runSync(steps())).toThrow(expect.objectContaining({ code: 'ENOTSUP' }));
    expect(log).toEqual(['cleaned up']);
  });

  test('lets an operation catch the ENOTSUP, and go on without the value', () => {
    function* steps(): Steps<string> {
      try {
        yield tick();
      } catch (error) {
        return (error as BlobstoreError).code;
      }
      return 'waited';
    }
    expect(runSync(steps())).toBe('ENOTSUP');
  });

  test('causes no unhandled rejection when the promise that it could not wait for rejects later', async () => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', listener);
    function* steps(): Steps<void> {
      yield tick().then(() => {
        throw new Error('too late');
      });
    }
    expect(() => runSync(steps())).toThrow(BlobstoreError);
    await tick();
    await tick();
    process.off('unhandledRejection', listener);
    expect(unhandled).toEqual([]);
  });
});

describe('a batch', () => {
  test('of operations that end at once does not wait', () => {
    const batch = new Batch();
    const log: number[] = [];
    batch.add(() => void log.push(1));
    batch.add(() => void log.push(2));
    expect(runSync(batch.close())).toBeUndefined();
    expect(log).toEqual([1, 2]);
  });

  test('waits for all, also when one fails, and then throws the first error', async () => {
    const batch = new Batch();
    let slowEnded = false;
    const fail = async (turns: number, name: string) => {
      for (let turn = 0; turn < turns; turn++) await tick();
      throw new Error(name);
    };
    batch.add(() => fail(3, 'later'));
    batch.add(() => fail(1, 'first'));
    batch.add(async () => {
      for (let turn = 0; turn < 6; turn++) await tick();
      slowEnded = true;
    });
    await expect(run(batch.close())).rejects.toThrow('first');
    expect(slowEnded).toBe(true);
  });

  test('starts nothing after a failure', () => {
    const batch = new Batch();
    const log: string[] = [];
    batch.add(() => {
      throw new Error('at once');
    });
    batch.add(() => void log.push('started'));
    expect(() => runSync(batch.close())).toThrow('at once');
    expect(log).toEqual([]);
  });

  test('keeps the first error when a later operation succeeds', async () => {
    const batch = new Batch();
    batch.add(() => Promise.reject(new Error('first')));
    batch.add(() => tick());
    await expect(run(batch.close())).rejects.toThrow('first');
  });

  test('that is empty ends at once', () => {
    expect(runSync(new Batch().close())).toBeUndefined();
  });
});
