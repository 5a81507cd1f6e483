/** Attached threads that fill a store together: no cluster gets two owners, and the low-space event comes in time. */

import { attach } from 'blobyard';
import type { LowSpace } from 'blobyard/types';
import { describe, expect, test } from 'vitest';
import { isPooled } from '../api/support.js';
import { CLUSTER, codesOf, expectCode, expectFilled, ThreadYard, UNIT, until } from '../threads/actors.js';

describe.skipIf(isPooled)('attached threads', () => {
  test.each([{ threads: 0 }, { threads: 1 }])(
    'get all clusters of a full store together, with %o',
    async ({ threads }) => {
      const yard = await ThreadYard.open({ threads, lowSpaceBytes: 40 * CLUSTER });
      const told: LowSpace[] = [];
      yard.store.on('low-space', (lowSpace) => told.push(lowSpace));
      const total = (await yard.store.stats()).freeBytes / CLUSTER;
      const blobs = await Promise.all(
        [1, 2, 3].map(() => yard.store.create({ sizeBytes: total * CLUSTER, thin: true })),
      );
      const actors = await Promise.all(blobs.map(({ id }) => yard.actorIn(id)));
      const filled = await Promise.all(
        actors.map(({ actor, blob }) => actor.do('writeUntilFailure', blob, CLUSTER, Number.MAX_SAFE_INTEGER)),
      );
      expect(filled.map(({ code }) => code)).toEqual(['ENOSPC', 'ENOSPC', 'ENOSPC']);
      expect(filled.reduce((sum, { done }) => sum + done, 0)).toBe(total);
      expect((await yard.store.stats()).freeBytes).toBe(0);
      await until(() => told.length > 0);
      expect(told.length).toBe(1);
      expect(told[0].freeBytes).toBeLessThan(40 * CLUSTER);
      expect(told[0].freeBytes).toBeGreaterThan(0); // the event came before the first write failed

      // The threads can read and write their clusters, and can allocate those that are freed by a deletion.
      const [first, second] = actors;
      expectFilled(await first.actor.do('readSync', first.blob, 0, UNIT), 1);
      await first.actor.do('writeSync', first.blob, 0, UNIT, 2);
      await second.actor.do('trimSync', second.blob, 0, CLUSTER);
      const racing = await first.actor.together(
        ['write', first.blob, (total - 1) * CLUSTER, UNIT, 3],
        ['write', first.blob, (total - 2) * CLUSTER, UNIT, 3],
        ['write', first.blob, (total - 3) * CLUSTER, UNIT, 3],
      );
      expect(codesOf(racing).sort()).toEqual(['ENOSPC', 'ENOSPC', 'ok']);
      await expectCode(second.actor.do('writeSync', second.blob, 0, UNIT, 1), 'ENOSPC');
      expect((await yard.store.stats()).freeBytes).toBe(0);
      if (threads === 0) await yard.expectSound();
      await yard.store.close();
    },
  );

  test('cannot be the metadata thread of the store, which would wait for itself', async () => {
    const yard = await ThreadYard.open();
    await expect(attach(yard.handle)).rejects.toMatchObject({ code: 'ENOTSUP' });
    await expect(attach(structuredClone(yard.handle))).rejects.toMatchObject({ code: 'ENOTSUP' });
    await yard.store.close();
    await expect(attach(yard.handle)).rejects.toMatchObject({ code: 'EBADF' }); // the store of the handle is closed
  });

  test('are refused with a handle that is malformed, or lacks its shared memory', async () => {
    const { handle, store } = await ThreadYard.open({ threads: 1 });
    const small = new SharedArrayBuffer(8);
    const forged = [
      { ...handle, mailboxes: small },
      { ...handle, buffers: { ...handle.buffers, store: small } },
      { ...handle, buffers: { ...handle.buffers, channels: new ArrayBuffer(1 << 20) } },
      { ...handle, buffers: {} },
      { ...handle, buffers: undefined },
      { ...handle, geometry: { ...handle.geometry, clusterBytes: 5 } },
      { ...handle, geometry: { ...handle.geometry, ioUnitBytes: Number.NaN } },
      { ...handle, device: undefined },
      { ...handle, blobyard: 1 },
      { ...handle, shareWindow: -1 },
      { ...handle, shareWindow: 2 ** 52 }, // the device is no file
      { ...handle, metadataThread: { id: 1 } },
      JSON.parse(JSON.stringify(handle)),
    ];
    for (const each of forged) await expect(attach(each as never)).rejects.toMatchObject({ code: 'EINVAL' });
    await (await attach(handle)).close();
    await store.close();
  });
});
