import { SLOT_CLASSES, type SlotClass } from '../../src/pace/budget.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { type Candidate, createSlotClient, type SlotClient } from '../../src/pace/slot.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

const fresh = useStages();

/** A call a second: long enough that no test outlasts what is remembered of a refusal (12 spacings). */
const SPACING = 1_000_000;

interface Contest {
  readonly stage: Stage;
  /** One a process. */
  readonly books: readonly SlotClient[];
  candidates(...classes: SlotClass[]): Candidate[];
  /** The next slot is free from now on (0), or so far away that everyone is refused. */
  next(inMicros: number): Promise<void>;
}

const REFUSED = 6_500_000;

async function contest(processes: number): Promise<Contest> {
  const stage = fresh();
  const { redis, keys } = stage;
  for (const slotClass of SLOT_CLASSES) await redis.hset(keys.callPrefix + slotClass, 'run', 'mine');
  const next = async (inMicros: number): Promise<void> => {
    const [seconds = '0', micros = '0'] = (await redis.time()).map(String);
    await redis.hset(
      keys.pacePrefix + BATCH,
      'next',
      String(Number(seconds) * 1e6 + Number(micros) + inMicros),
    );
  };
  await next(0);
  return {
    stage,
    books: Array.from({ length: processes }, () =>
      createSlotClient(stage.connect(), keys, BATCH, createRedisClock(), SPACING),
    ),
    candidates: (...classes) => classes.map((slotClass) => ({ callId: slotClass, run: 'mine', slotClass })),
    next,
  };
}

/** Everybody is refused; then a slot comes free, and the processes ask for it in this order. Who gets it? */
async function round(
  { books, candidates, next }: Contest,
  waiting: readonly (readonly SlotClass[])[],
): Promise<SlotClass | undefined> {
  await next(REFUSED);
  for (const [i, classes] of waiting.entries())
    expect((await books[i]?.ask(candidates(...classes)))?.kind).toBe('later');
  await next(0);
  for (const [i, classes] of waiting.entries()) {
    const answer = await books[i]?.ask(candidates(...classes));
    if (answer?.kind === 'slot') return classes[answer.index];
    expect(answer).toMatchObject({ kind: 'later' });
  }
  return undefined;
}

async function tally(
  rounds: number,
  play: () => Promise<SlotClass | undefined>,
): Promise<Record<string, number>> {
  const won: Record<string, number> = {};
  for (let i = 0; i < rounds; i++) {
    const winner = String(await play());
    won[winner] = (won[winner] ?? 0) + 1;
  }
  return won;
}

test('strict, but every waiting class gets one slot in ten', async () => {
  const game = await contest(1);
  const won = await tally(102, () => round(game, [SLOT_CLASSES]));
  expect(won).toEqual({ live: 72, retry: 10, split: 10, redrive: 10 });
});

test('over two processes as well, whichever asks first', async () => {
  for (const [first, second] of [
    ['redrive', 'live'],
    ['live', 'redrive'],
    ['retry', 'live'],
  ] as const) {
    const game = await contest(2);
    const won = await tally(50, () => round(game, [[first], [second]]));
    expect(won.live).toBe(45);
    expect(won.undefined).toBeUndefined();
  }
});

test('over four processes with a class each', async () => {
  const game = await contest(4);
  const won = await tally(52, () => round(game, [['redrive'], ['split'], ['retry'], ['live']]));
  expect(won).toEqual({ live: 37, retry: 5, split: 5, redrive: 5 });
});

test('two classes without the first: the better one takes what is left', async () => {
  const game = await contest(2);
  const won = await tally(50, () => round(game, [['redrive'], ['split']]));
  expect(won).toEqual({ split: 45, redrive: 5 });
});

test('a class that nobody else waits for takes every slot', async () => {
  const game = await contest(1);
  expect(await tally(30, () => round(game, [['redrive']]))).toEqual({ redrive: 30 });
});

test('what was refused long ago keeps no place, and what was just refused does', async () => {
  const { stage, books, candidates, next } = await contest(1);
  const pace = stage.keys.pacePrefix + BATCH;
  const wanted = async (agoMicros: number): Promise<void> => {
    await next(-agoMicros);
    const then = await stage.redis.hget(pace, 'next');
    await stage.redis.hset(pace, 'want:0', String(then));
    await next(0);
  };
  // Its turn was just now, so that it has no claim to one in ten.
  await stage.redis.hset(pace, 'slots', '100', 'turn:3', '100');
  await wanted(13 * SPACING);
  expect((await books[0]?.ask(candidates('redrive')))?.kind).toBe('slot');
  await wanted(2 * SPACING);
  expect((await books[0]?.ask(candidates('redrive')))?.kind).toBe('later');
});

test('what waits on keeps its place before lower classes, slot or not', async () => {
  const { books, candidates } = await contest(1);
  const [book] = books;
  const first = async (classes: SlotClass[], more: SlotClass[] = []) => {
    const answer = await book?.ask(candidates(...classes), more);
    return answer?.kind === 'slot' ? classes[answer.index] : answer?.kind;
  };
  // A process with more live calls behind this one, and a retry.
  expect(await first(['live', 'retry'], ['live'])).toBe('live');
  // Another process has a retry only: it is the turn of the live ones.
  expect(await first(['retry'])).toBe('later');
  // The last live one: now it is.
  expect(await first(['live'])).toBe('live');
  expect(await first(['retry'])).toBe('retry');
});
