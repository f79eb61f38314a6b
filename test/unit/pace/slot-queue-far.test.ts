import { createHoldWatch } from '../../../src/hold/hold-watch.ts';
import type { Slot, SlotAnswer, SlotClient } from '../../../src/pace/slot.ts';
import { SlotQueue } from '../../../src/pace/slot-queue.ts';
import { eventually } from '../../support/eventually.ts';

const unused = () => Promise.reject(new Error('not asked for here'));

/** A question that is on its way until it is answered. */
interface Question {
  readonly callIds: readonly string[];
  readonly more: readonly string[];
  answer(answer: SlotAnswer): void;
  fail(error: Error): void;
}

const slotQueues: SlotQueue[] = [];
afterEach(() => {
  for (const slotQueue of slotQueues.splice(0)) slotQueue.close();
});

function farRedis() {
  const questions: Question[] = [];
  const givenUp: string[] = [];
  const troubles: string[] = [];
  const slots: SlotClient = {
    spacingMs: 10,
    ask: (candidates, more = []) =>
      new Promise((resolve, reject) => {
        questions.push({
          callIds: candidates.map(({ callId }) => callId),
          more,
          answer: (answer) => resolve({ ...answer, epoch: '', askedAtMs: 0 }),
          fail: reject,
        });
      }),
    askForCheck: unused,
    rate: unused,
    look: unused,
    throttle: unused,
    giveUp: async ({ number }) => {
      givenUp.push(number);
    },
    leftLate: async () => {},
  };
  const watch = createHoldWatch(() => performance.now());
  const slotQueue = new SlotQueue({
    slots,
    watch,
    onUnusedProbe: async () => {},
    onTrouble: ({ message }) => troubles.push(message),
  });
  slotQueues.push(slotQueue);
  const take = (callId: string, slotClass: 'live' | 'redrive' = 'live') =>
    slotQueue.take({ callId, run: 'r', slotClass });
  return { slotQueue, watch, questions, givenUp, troubles, take };
}

const slot = (number: string): Slot => ({
  ...{ atLocalMs: 0, atRedisMs: 0, epoch: '', probe: false, heldMs: 0, number, ratePerSecond: 99 },
});
const granted = (number: string, index = 0): SlotAnswer => ({
  ...{ kind: 'slot', index, slot: slot(number) },
});

test('while an answer is long in coming others are asked for, each once', async () => {
  const { questions, take } = farRedis();
  const ends = ['a', 'b', 'c'].map((callId) => take(callId));
  await eventually('all are asked for', () => questions.length === 3);
  expect(questions.map(({ callIds }) => callIds)).toEqual([['a'], ['b'], ['c']]);
  questions.forEach((question, i) => {
    question.answer(granted(String(i)));
  });
  expect(await Promise.all(ends)).toMatchObject([{ number: '0' }, { number: '1' }, { number: '2' }]);
  expect(questions).toHaveLength(3);
});

test('a question names the best of each class for whom none is on its way, and tells of those behind', async () => {
  const { questions, take } = farRedis();
  take('a');
  take('b');
  take('c');
  take('old', 'redrive');
  await eventually('three questions', () => questions.length === 3);
  expect(questions.map(({ callIds }) => callIds)).toEqual([['a'], ['b', 'old'], ['c']]);
  expect(questions.map(({ more }) => more)).toEqual([[], ['live'], ['live']]);
  // Who was named and not chosen is asked for again.
  questions[1]?.answer(granted('1'));
  await eventually('asked for again', () => questions.length === 4);
  expect(questions[3]?.callIds).toEqual(['old']);
});

test('no more than 16 questions are on their way', async () => {
  const { slotQueue, questions, take } = farRedis();
  for (let i = 0; i < 18; i++) take(`c${i}`);
  await eventually('as many as may be', () => questions.length === 16);
  // Full: it waits for an answer, by no timer.
  expect(slotQueue.dueMs).toBeLessThanOrEqual(performance.now());
  questions[0]?.answer(granted('0'));
  await eventually('one more', () => questions.length === 17);
});

test('an answer that says wait is obeyed, also for those who come', async () => {
  const { slotQueue, questions, take } = farRedis();
  for (const callId of ['a', 'b']) take(callId);
  await eventually('two questions', () => questions.length === 2);
  questions[0]?.answer(granted('0'));
  questions[1]?.answer({ kind: 'later', waitMs: 3_600_000 });
  const rests = () => (slotQueue.dueMs ?? 0) > performance.now() + 3_000_000;
  await eventually('it rests', rests);
  take('c');
  expect(rests()).toBe(true);
  expect(questions).toHaveLength(2);
});

test('a question that is never answered is seen, whatever others are answered', async () => {
  const { slotQueue, questions, take } = farRedis();
  const startedAtMs = performance.now();
  take('a');
  const takenAtMs = performance.now();
  for (let i = 1; i <= 3; i++) {
    take(`b${i}`);
    await eventually('one more question', () => questions.length === i + 1);
    questions[i]?.answer(granted(String(i)));
  }
  await eventually('all others have theirs', () => questions.length === 4);
  const stuckSinceMs = slotQueue.dueMs ?? 0;
  expect(stuckSinceMs).toBeGreaterThanOrEqual(startedAtMs);
  expect(stuckSinceMs).toBeLessThanOrEqual(takenAtMs);
});

test('the call that is wanted as the probe is asked for at once if the answer did not know of it', async () => {
  const { slotQueue, questions, take } = farRedis();
  take('a');
  take('b');
  await eventually('two questions', () => questions.length === 2);
  questions[0]?.answer({ kind: 'held', waitMs: 3_600_000 });
  questions[1]?.answer({ kind: 'held', waitMs: 3_600_000, wanted: 'a' });
  await eventually('the wanted one is asked for, then the other', () => questions.length === 4);
  expect(questions[2]?.callIds).toEqual(['a']);
  // It has asked, in vain: no ground to ask again.
  questions[2]?.answer({ kind: 'held', waitMs: 3_600_000, wanted: 'a' });
  questions[3]?.answer({ kind: 'held', waitMs: 3_600_000 });
  await eventually('it rests', () => (slotQueue.dueMs ?? 0) > performance.now() + 4_000);
  expect(questions).toHaveLength(4);
});

test('one that fails is told; its calls are asked for again', async () => {
  const { questions, troubles, take } = farRedis();
  const ends = [take('a'), take('b')];
  await eventually('two questions', () => questions.length === 2);
  questions[0]?.fail(new Error('Redis is away'));
  questions[1]?.answer(granted('1'));
  await eventually('asked for again', () => questions.length === 3);
  expect(troubles).toEqual(['Redis is away']);
  questions[2]?.answer(granted('2'));
  expect(await Promise.all(ends)).toMatchObject([{ number: '2' }, { number: '1' }]);
});

test('closed, what is granted to any question is given up', async () => {
  const { slotQueue, questions, givenUp, take } = farRedis();
  const ends = [take('a'), take('b')];
  await eventually('two questions', () => questions.length === 2);
  slotQueue.close();
  expect(await Promise.all(ends)).toEqual(['closing', 'closing']);
  expect(slotQueue.dueMs).not.toBeNull();
  questions.forEach((question, i) => {
    question.answer(granted(String(i)));
  });
  await eventually('it is idle', () => slotQueue.dueMs === null);
  expect(givenUp).toEqual(['0', '1']);
});

test('a rest for a hold ends for what changed since the question was asked', async () => {
  const { slotQueue, watch, questions, take } = farRedis();
  take('a');
  watch.told('1');
  questions[0]?.answer({ kind: 'held', waitMs: 3_600_000 });
  await eventually('asked again at once', () => questions.length === 2);
  questions[1]?.answer({ kind: 'held', waitMs: 3_600_000 });
  await eventually('it rests', () => (slotQueue.dueMs ?? 0) > performance.now() + 4_000);
  // One of another class may be the proof.
  take('new', 'redrive');
  await eventually('asked for the newcomer', () => questions.length === 3);
  expect(questions[2]?.callIds).toEqual(['a', 'new']);
});
