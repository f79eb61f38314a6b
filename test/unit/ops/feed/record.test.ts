import { readBatch } from '../../../../src/ops/feed/record.ts';

const CALL = {
  ...{ kind: 'call', at: 1, command: 'c', class: 'live', users: 1, tries: 0, answer: '0', errorInfo: '' },
  ...{ ms: 1, imported: 1, deadLettered: 0, later: 0, again: 0 },
};
const OUTCOME = { kind: 'outcome', at: 1, eventId: '1-0', userId: 'u', outcome: 'imported', errorCode: 0 };
const read = (...records: unknown[]) =>
  readBatch(JSON.stringify({ worker: 'w', version: '1', leftOut: 0, records }))?.records;

test('records of known kinds are read', () => {
  expect(read(CALL, OUTCOME, { kind: 'newer', at: 1 })).toEqual([CALL, OUTCOME]);
});

test.each(['0x10', '1', '', null, [], 9e15, '\u001b[2J'])(
  'a record with %j for a number is left out',
  (value) => {
    for (const name of ['at', 'users', 'tries', 'ms', 'imported', 'deadLettered', 'later', 'again'])
      if (value !== 9e15 || name === 'at') expect(read({ ...CALL, [name]: value })).toEqual([]);
    expect(read({ ...OUTCOME, at: value }, null, 'text')).toEqual([]);
    if (value !== 9e15) expect(read({ ...OUTCOME, errorCode: value })).toEqual([]);
  },
);
