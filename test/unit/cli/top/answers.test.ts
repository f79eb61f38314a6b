import { Answers } from '../../../../src/cli/top/answers.ts';
import type { FeedCall } from '../../../../src/ops/feed/record.ts';

const call = (command: string, answer: string, ms: number, errorInfo = ''): FeedCall => ({
  ...{ kind: 'call', at: 0, class: 'live', users: 1, tries: 0 },
  ...{ imported: 0, deadLettered: 0, later: 0, again: 0 },
  ...{ command, answer, ms, errorInfo },
});
const batch = (records: readonly FeedCall[], leftOut = 0) => ({
  worker: 'w',
  version: '1',
  leftOut,
  records,
});

test('counts by command and answer, most first, with the words of the last', () => {
  const answers = new Answers();
  answers.add(batch([call('a', '0', 10), call('a', '70500', 30, 'first'), call('b', '0', 5)]), 1_000);
  answers.add(batch([call('a', '0', 20), call('a', '0', 30), call('a', '70500', 50, 'last')]), 2_000);
  expect(answers.rows(2_500)).toEqual([
    { command: 'a', answer: '0', errorInfo: '', calls: 3, share: 0.6, averageMs: 20, lastAgoMs: 500 },
    { command: 'a', answer: '70500', errorInfo: 'last', calls: 2, share: 0.4, averageMs: 40, lastAgoMs: 500 },
    { command: 'b', answer: '0', errorInfo: '', calls: 1, share: 1, averageMs: 5, lastAgoMs: 1_500 },
  ]);
});

test('forgets after a minute, and counts what was not sent', () => {
  const answers = new Answers();
  answers.add(batch([call('a', '0', 10)], 3), 1_000);
  answers.add(batch([call('a', '70500', 10)], 4), 30_000);
  expect([answers.rows(60_999).length, answers.leftOut(60_999)]).toEqual([2, 7]);
  expect([answers.rows(61_000).length, answers.leftOut(61_000)]).toEqual([1, 4]);
});
