/** The queues of items by slot, against one list that is searched. */

import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { SlotQueues } from '../../../packages/core/dist/channel/slot-queues.js';

const slot = fc.integer({ min: 0, max: 3 });
const action = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('push' as const), slot }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('shift' as const), slot }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('takeAll' as const), slot }) },
);

test.prop([fc.array(action, { maxLength: 200 })])(
  'items leave in the order in which they came, slot by slot',
  (actions) => {
    const queues = new SlotQueues<number>();
    let model: { slot: number; item: number }[] = [];
    for (const [item, { kind, slot }] of actions.entries()) {
      if (kind === 'push') {
        queues.push(slot, item);
        model.push({ slot, item });
      } else if (kind === 'shift') {
        const first = model.find((each) => each.slot === slot);
        expect(queues.shift(slot)).toBe(first?.item);
        model = model.filter((each) => each !== first);
      } else {
        expect(queues.takeAll().sort((one, other) => one - other)).toEqual(model.map((each) => each.item));
        model = [];
      }
      expect(queues.size).toBe(model.length);
      for (let each = 0; each < 4; each++) {
        const length = model.filter((queued) => queued.slot === each).length;
        expect([queues.lengthOf(each), queues.has(each)]).toEqual([length, length > 0]);
      }
    }
  },
);
