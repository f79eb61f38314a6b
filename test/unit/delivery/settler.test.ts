import { pendingByUser } from '../../../src/delivery/policy/pending-user.ts';
import { Settler } from '../../../src/delivery/settler.ts';
import { parseEntry } from '../../../src/event/fields.ts';
import { entriesOf, freshRecord } from '../../../src/ledger/record.ts';
import type { Settlement } from '../../../src/ledger/settle.ts';
import { entryOf, pendingUserOf, verdictFor } from './entries.ts';

const ENTRIES = JSON.stringify([
  ['1-0', 'userId', 'ann'],
  ['2-0', 'userId', 'bob', 'type', 'nonsense'],
]);

function settlerOf(isOnWire: () => boolean) {
  const record = freshRecord('c1', 'multiaccount_import', ENTRIES, 1_000);
  const parsed = entriesOf(record).map((entry) => parseEntry(entry, { adminId: 'administrator' }));
  const stored: Settlement[] = [];
  const settler = new Settler({
    record,
    users: pendingByUser(parsed.filter((entry) => entry.ok)),
    isOnWire,
    store: async (settlement) => {
      stored.push(settlement);
      return { kind: 'settled', returned: 0, resolved: 0, nowMs: 1_000 };
    },
  });
  return { settler, stored, invalid: parsed.filter((entry) => !entry.ok) };
}

test.each([true, false])(
  'whether a call may be on the wire (%s) is told of what stays, too, when invalid entries leave',
  async (onWire) => {
    const { settler, stored, invalid } = settlerOf(() => onWire);
    expect(await settler.settleInvalid(invalid)).toBe('settled');
    expect(stored).toHaveLength(1);
    expect(stored[0]?.dead.map(({ eventId }) => eventId)).toEqual(['2-0']);
    expect(stored[0]?.kept).toMatchObject({ users: 1, onWire });
  },
);

test('an event that is not of this record is a bug that says so', async () => {
  const { settler, stored } = settlerOf(() => false);
  const entry = entryOf('ann', 9);
  const refused = {
    user: pendingUserOf(entry),
    entry,
    reason: 'rejected',
    verdict: verdictFor(70402),
  } as const;
  const ended = { imported: [], refused: [refused], command: 'account_import', passedAtMs: 0 } as const;
  await expect(settler.settle(ended)).rejects.toThrow(/9-0 is not of this record/);
  expect(stored).toEqual([]);
});
