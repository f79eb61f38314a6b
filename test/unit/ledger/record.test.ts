import fc from 'fast-check';
import { claimedUser, entriesOf, packEntries, readRecord, withAttempt } from '../../../src/ledger/record.ts';

const attempt = (at: number) => ({
  at,
  command: 'account_import' as const,
  errorCode: 70500,
  httpStatus: 200,
});

it('reads a record as scripts write it', () => {
  const fields = {
    v: '1',
    command: 'multiaccount_import',
    class: 'redrive',
    cutAt: '100',
    entries: '[["5-0","userId","a"],["6-0","userId","b","nick","B"]]',
    tries: '2',
    attempts: JSON.stringify([attempt(7)]),
    sentAt: '9',
    firstSentAt: '8',
    heldMsAtFirst: '3',
  };
  const record = readRecord('c1', 50, fields);
  expect(entriesOf(record)).toEqual([
    { eventId: '5-0', fields: ['userId', 'a'] },
    { eventId: '6-0', fields: ['userId', 'b', 'nick', 'B'] },
  ]);
  expect(record).toMatchObject({
    callId: 'c1',
    command: 'multiaccount_import',
    slotClass: 'redrive',
    cutAtMs: 100,
    tries: 2,
    attempts: [attempt(7)],
    sentAtMs: 9,
    firstSentAtMs: 8,
    heldMsAtFirst: 3,
    readAtMs: 50,
  });
});

it('a fresh record has no history, and one without entries is none', () => {
  const fresh = { command: 'account_import', entries: '[]' };
  expect(readRecord('c1', 0, fresh)).toMatchObject({
    slotClass: 'live',
    tries: 0,
    attempts: [],
    sentAtMs: 0,
  });
  expect(() => entriesOf(readRecord('c1', 0, {}))).toThrow();
});

it('entries come back as they were packed', () => {
  const entries = fc.array(
    fc.record({
      eventId: fc.string(),
      fields: fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }))),
    }),
  );
  fc.assert(
    fc.property(entries, (list) => {
      const raws = list.map(({ eventId, fields }) => ({ eventId, fields: fields.flat() }));
      expect(entriesOf(readRecord('c', 0, { entries: packEntries(raws) }))).toEqual(raws);
    }),
  );
});

it.each([
  [['userId', 'a'], 'a'],
  [['nick', 'n', 'userId', 'a'], 'a'],
  [['userId', 'a', 'userId', 'b'], 'b'],
  [['userId', 'a', 'userId', ''], ''],
  [['nick', 'userId'], ''],
  [['userId', 'a b'], ''],
  [['userId', 'é'], ''],
  [['userId', 'x'.repeat(32)], 'x'.repeat(32)],
  [['userId', 'x'.repeat(33)], ''],
  [['userId', 'a\n'], ''],
  [[], ''],
])('%j claims %j', (fields, userId) => {
  expect(claimedUser(fields)).toBe(userId);
});

it('keeps the first and the last of very many attempts', () => {
  const all = Array.from({ length: 5_000 }, (_, at) => attempt(at)).reduce(
    (kept, one) => withAttempt(kept, one),
    [] as ReturnType<typeof withAttempt>,
  );
  expect(all).toHaveLength(50);
  expect(all.slice(0, 10).map(({ at }) => at)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(all.at(-1)?.at).toBe(4_999);
  expect(all.at(10)?.at).toBe(4_960);
  const few = [attempt(1)];
  expect(withAttempt(few, attempt(2))).toEqual([attempt(1), attempt(2)]);
  expect(few).toHaveLength(1);
});
