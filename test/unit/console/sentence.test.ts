import { en } from '../../../console/src/i18n/en.ts';
import { sentencesOf } from '../../../src/console/sentence.ts';
import type { Status } from '../../../src/ops/status.ts';
import { WRITE_PROBLEMS } from '../../../src/redis/requirements.ts';

const command = { waiting: 0, active: 0, delayed: 0, users: 0, quota: 100, rate: 99, startedLastSecond: 0 };
const calm: Status = {
  sdkAppId: 1,
  intake: { waiting: 0, parked: 0, oldestAgeMs: null },
  calls: { multiaccount_import: command },
  oldestUnfinishedAgeMs: null,
  suspects: { calls: 0 },
  deadLetters: { total: 0, byReason: {}, byCode: {}, oldestAgeMs: null },
  hold: null,
  paused: false,
  pause: null,
  totals: { accepted: 0, imported: 0, superseded: 0, deadLettered: 0, forgotten: 0 },
  redis: { memoryUsedRatio: null, memory: 'ample', problems: [] },
  workers: [{ id: 'w', version: '1', lastSeen: 0 }],
  relay: null,
  reconcile: null,
  reconcileDueAt: null,
};
const hold = { kind: 'credentials', errorCode: 70003, errorInfo: 'wrong sig', since: 0, nextProbeAt: 1 };
const backlog = { intake: { waiting: 5, parked: 1, oldestAgeMs: 60_000 }, oldestUnfinishedAgeMs: 60_000 };

test.each<[string, Partial<Status>, number, string, RegExp, string[]]>([
  ['nothing to do', {}, 0, 'idle', /^Ready: nothing waits/, []],
  ['at work', {}, 9_900, 'running', /^Running: 9,900 accounts in the last minute; nothing waits\.$/, []],
  [
    'at work, with events on their way',
    { intake: { waiting: 7, parked: 0, oldestAgeMs: 200 }, oldestUnfinishedAgeMs: 200 },
    1,
    'running',
    /^Running: 1 account in the last minute; 7 events on the way\.$/,
    [],
  ],
  ['behind', backlog, 10, 'behind', /6 events wait, the oldest for 60 s/, []],
  [
    'slowed down',
    { ...backlog, calls: { multiaccount_import: { ...command, rate: 30 } } },
    1,
    'throttled',
    /30\.0 of 100/,
    [],
  ],
  [
    'held',
    { ...backlog, hold },
    0,
    'held',
    /^Held since 1970-01-01 00:00 UTC \(credentials\): 70003 wrong sig\. 6 events wait\.$/,
    [],
  ],
  [
    'paused and held',
    { hold, pause: { reason: 'x', since: 0, by: 'ann' } },
    0,
    'paused',
    /^Paused since .* by ann: x\./,
    ['held'],
  ],
  [
    'without workers',
    { workers: [], pause: { reason: '', since: 0 } },
    0,
    'no-workers',
    /^No worker runs: 0 events wait\./,
    ['paused'],
  ],
  [
    'with other trouble',
    {
      deadLetters: { ...calm.deadLetters, total: 1 },
      suspects: { calls: 2 },
      redis: { memoryUsedRatio: 0.93, memory: 'full', problems: [] },
    },
    0,
    'memory-full',
    /^Redis is 93 % full\.$/,
    ['dead-letters', 'suspects'],
  ],
  [
    'with a Redis that refuses events',
    {
      ...backlog,
      hold,
      workers: [],
      redis: { memoryUsedRatio: 1, memory: 'full', problems: [WRITE_PROBLEMS.memory] },
    },
    0,
    'redis-refuses',
    /^New events are refused: Redis has no memory left and refuses events\.$/,
    ['no-workers', 'held'],
  ],
])('%s', (_what, change, perMinute, code, text, besides) => {
  const { sentence, also } = sentencesOf({ ...calm, ...change }, perMinute);
  expect(sentence.code).toBe(code);
  expect(sentence.text).toMatch(text);
  expect(also.map((one) => one.code)).toEqual(besides);
  for (const one of [sentence, ...also]) if (one.level === 'bad') expect(one.advice).not.toBe('');
});

test.each(Object.entries(WRITE_PROBLEMS))(
  'Redis refuses for its %s: the console names it and says what to do',
  (kind, problem) => {
    const redis = { memoryUsedRatio: null, memory: 'ample' as const, problems: [problem] };
    const { sentence } = sentencesOf({ ...calm, redis }, 0);
    expect(sentence).toMatchObject({ code: 'redis-refuses', level: 'bad', values: { kind } });
    expect(sentence.advice).toMatch(/^[A-Z].*\. What Redis has acknowledged is kept\.$/);
    expect(Object.keys(en)).toEqual(expect.arrayContaining([`refusal.${kind}`, `refusalAdvice.${kind}`]));
  },
);
