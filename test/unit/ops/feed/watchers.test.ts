import {
  type FeedCall,
  type FeedOutcome,
  isWanted,
  LEASE_MS,
  readBatch,
  readRequest,
  type Wanted,
} from '../../../../src/ops/feed/record.ts';
import { sendersText } from '../../../../src/ops/feed/watch-feed.ts';
import { MOST_PER_SECOND, Watchers } from '../../../../src/ops/feed/watchers.ts';

const all: Wanted = {
  ...{ calls: true, outcomes: ['imported', 'superseded', 'dead-lettered'], answers: [], userId: '' },
};
const call: FeedCall = {
  ...{
    kind: 'call',
    at: 0,
    command: 'c',
    class: 'live',
    users: 2,
    tries: 0,
    answer: '0',
    errorInfo: '',
    ms: 1,
  },
  ...{ imported: 2, deadLettered: 0, later: 0, again: 0 },
};
const outcome: FeedOutcome = {
  ...{ kind: 'outcome', at: 0, eventId: '1-0', userId: 'alice', hasAccount: false },
  ...{ outcome: 'dead-lettered', errorCode: 70402, reason: 'rejected' },
};

test.each<[string, Partial<Wanted>, boolean, boolean]>([
  ['everything', {}, true, true],
  ['calls', { outcomes: [] }, true, false],
  ['outcomes', { calls: false }, false, true],
  ['one outcome', { calls: false, outcomes: ['imported'] }, false, false],
  ['the code of the call', { answers: ['0', '70500'] }, true, false],
  ['the code of the outcome', { answers: ['70402'] }, false, true],
  ['a user of both', { userId: 'alice' }, true, true],
  ['a user of the call', { userId: 'bob' }, true, false],
  ['somebody else', { userId: 'eve' }, false, false],
])('%s', (_name, wanted, theCall, theOutcome) => {
  expect(isWanted({ ...all, ...wanted }, call, ['alice', 'bob'])).toBe(theCall);
  expect(isWanted({ ...all, ...wanted }, outcome, ['alice'])).toBe(theOutcome);
});

describe('watchers', () => {
  let watchers: Watchers;
  beforeEach(() => {
    watchers = new Watchers();
    watchers.heard({ watcher: 'a', wanted: all }, 0);
  });
  const first = () => watchers.take(0)[0];

  test('are answered at once, with nothing if there is nothing', () => {
    expect(watchers.take(0)).toEqual([{ watcher: 'a', leftOut: 0, records: [] }]);
    expect(watchers.take(0)).toEqual([]);
    watchers.add(call, ['x'], 0);
    expect(watchers.take(0)).toEqual([{ watcher: 'a', leftOut: 0, records: [call] }]);
  });

  test('get what they want alone', () => {
    watchers.heard({ watcher: 'b', wanted: { ...all, calls: false } }, 0);
    watchers.add(call, ['x'], 0);
    watchers.add(outcome, ['alice'], 0);
    expect(watchers.take(0).map(({ watcher, records }) => [watcher, records.length])).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
  });

  test('are forgotten when they do not ask again, and when they leave', () => {
    watchers.take(LEASE_MS);
    expect(watchers.isEmpty).toBe(false);
    watchers.heard({ watcher: 'a', wanted: all }, LEASE_MS);
    watchers.take(2 * LEASE_MS);
    expect(watchers.isEmpty).toBe(false);
    watchers.take(2 * LEASE_MS + 1);
    expect(watchers.isEmpty).toBe(true);
    watchers.heard({ watcher: 'a', wanted: all }, 0);
    watchers.heard({ watcher: 'a', wanted: null }, 0);
    expect(watchers.isEmpty).toBe(true);
  });

  test('get so many records a second of each kind, and the number of the others', () => {
    for (let i = 0; i < MOST_PER_SECOND + 7; i++) watchers.add(outcome, ['alice'], 999);
    watchers.add(call, ['x'], 999);
    expect(first()).toMatchObject({ leftOut: 7, records: { length: MOST_PER_SECOND + 1 } });
    // Asking again makes no second shorter.
    watchers.heard({ watcher: 'a', wanted: all }, 999);
    watchers.add(outcome, ['alice'], 999);
    watchers.add(outcome, ['alice'], 1_000);
    expect(first()).toMatchObject({ leftOut: 1, records: { length: 1 } });
  });

  test('cost no more memory while Redis takes nothing', () => {
    for (let second = 0; second < 5; second++)
      for (let i = 0; i < MOST_PER_SECOND; i++) watchers.add(call, ['x'], 1_000 * second);
    const taken = first();
    expect(taken).toMatchObject({ leftOut: 3 * MOST_PER_SECOND, records: { length: 2 * MOST_PER_SECOND } });
    if (taken !== undefined) watchers.lost(taken);
    expect(first()).toMatchObject({ leftOut: 5 * MOST_PER_SECOND, records: [] });
  });

  test('beyond eight are not served', () => {
    for (let i = 0; i < 20; i++) watchers.heard({ watcher: `w${i}`, wanted: all }, 0);
    expect(watchers.take(0)).toHaveLength(8);
  });
});

test.each([
  '',
  '{',
  'null',
  '[]',
  '7',
  '{"watcher":7}',
  '{"watcher":"a b","wanted":null}',
  '{"watcher":"a"}',
  '{"watcher":"a","wanted":{"answers":7,"outcomes":[],"userId":""}}',
])('no request: %s', (message) => {
  expect(readRequest(message)).toBeUndefined();
});

test('a request is read as it was written', () => {
  for (const request of [
    { watcher: 'a-1', wanted: { ...all, answers: ['0'] } },
    { watcher: 'a', wanted: null },
  ])
    expect(readRequest(JSON.stringify(request))).toEqual(request);
});

test('of a batch, what is no record of a kind known here is left out', () => {
  expect(readBatch('{}')).toBeUndefined();
  expect(readBatch('nonsense')).toBeUndefined();
  const records = [call, null, 7, { kind: 'news', at: 1 }, { ...call, at: 'soon' }, { ...call, at: 9e15 }];
  expect(readBatch(JSON.stringify({ worker: 'w', version: '1', leftOut: 2, records, more: 1 }))).toEqual({
    ...{ worker: 'w', version: '1', leftOut: 2, records: [call] },
  });
});

test('who sends, in words', () => {
  const workers = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, version: '0.1.0', lastSeen: 0 }));
  expect(sendersText(workers, undefined)).toBe('workers are asked for their calls');
  const text = (count: number, ...senders: string[]) =>
    sendersText(workers.slice(0, count), new Set(senders));
  expect([text(0), text(1, 'a'), text(2, 'a', 'b'), text(3, 'b', 'c'), text(5, 'a'), text(1)]).toEqual([
    'no worker runs: start one with imsync worker',
    '1 worker sends',
    '2 workers send',
    '2 of 3 workers send; a (version 0.1.0) sends nothing',
    '1 of 5 workers send; b (version 0.1.0), c (version 0.1.0), d (version 0.1.0), 1 more send nothing',
    'no worker sends (each serves 8 watchers at most, and an older version none): a (version 0.1.0)',
  ]);
});
