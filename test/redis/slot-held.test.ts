import { createHoldState, type Proof } from '../../src/hold/hold-state.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import {
  type Candidate,
  createSlotClient,
  type Slot,
  type SlotAnswer,
  type SlotClient,
} from '../../src/pace/slot.ts';
import { eventually } from '../support/eventually.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

const fresh = useStages();

interface Desk {
  readonly stage: Stage;
  readonly book: SlotClient;
  candidate(callId: string, slotClass?: Candidate['slotClass']): Promise<Candidate>;
}

/** Held in this way, with a probe that is due; undefined: not held. */
async function desk(proof?: Proof): Promise<Desk> {
  const stage = fresh();
  const { redis, keys } = stage;
  await redis.hset(keys.pacePrefix + BATCH, 'next', '0');
  if (proof !== undefined)
    await redis.hset(keys.hold, {
      epoch: '1',
      held: '{"errorCode":60006,"errorInfo":"","kind":"configuration"}',
      kind: 'configuration',
      proof,
      heldSince: '1',
      nextProbeAt: '1',
      probeGapMs: '1000',
    });
  return {
    stage,
    book: createSlotClient(redis, keys, BATCH, createRedisClock(), 10),
    candidate: async (callId, slotClass = 'live') => {
      await redis.hset(keys.callPrefix + callId, 'run', 'mine');
      return { callId, run: 'mine', slotClass };
    },
  };
}

function slotOf(answer: SlotAnswer): Slot {
  if (answer.kind !== 'slot') throw new Error(`no slot: ${JSON.stringify(answer)}`);
  return answer.slot;
}

describe('a probe is one call of the fleet', () => {
  test('none before its time', async () => {
    const { stage, book, candidate } = await desk('import');
    await stage.redis.hset(stage.keys.hold, 'nextProbeAt', Date.now() + 60_000);
    const held = await book.ask([await candidate('c1')]);
    expect(held).toMatchObject({ kind: 'held', epoch: '1' });
    expect(held.kind === 'held' && held.waitMs > 50_000 && held.waitMs <= 60_000).toBe(true);
  });

  test('a time that lies hours ahead is from another clock', async () => {
    const { stage, book, candidate } = await desk('import');
    await stage.redis.hset(stage.keys.hold, 'nextProbeAt', Date.now() + 7_200_000);
    expect(slotOf(await book.ask([await candidate('c1')])).probe).toBe(true);
  });

  test('leased: the next one only when the lease is over', async () => {
    const { stage, book, candidate } = await desk('import');
    expect(slotOf(await book.ask([await candidate('c1')]))).toMatchObject({ probe: true, epoch: '1' });
    const leased = await book.ask([await candidate('c2')]);
    expect(leased.kind === 'held' && leased.waitMs > 3_000 && leased.waitMs <= 5_000).toBe(true);
    await stage.redis.hset(stage.keys.hold, 'probeUntil', '1');
    expect(slotOf(await book.ask([await candidate('c2')])).probe).toBe(true);
    // A lease of another clock counts for nothing.
    await stage.redis.hset(stage.keys.hold, 'probeUntil', Date.now() + 3_000_000);
    expect(slotOf(await book.ask([await candidate('c2')])).probe).toBe(true);
  });

  test('a lease is as long as the hold wants it', async () => {
    const { stage, book, candidate } = await desk('import');
    await stage.redis.hset(stage.keys.hold, 'leaseMs', '2000');
    expect(slotOf(await book.ask([await candidate('c1')])).probe).toBe(true);
    const leased = await book.ask([await candidate('c2')]);
    expect(leased.kind === 'held' && leased.waitMs > 0 && leased.waitMs <= 2_000).toBe(true);
  });

  test.each([
    ['import', 'calls'],
    ['check', 'checks'],
  ] as const)('proof %s: of many %s that ask at once, one is given it', async (proof, asker) => {
    const { stage, candidate } = await desk(proof);
    const candidates = await Promise.all(Array.from({ length: 20 }, (_, i) => candidate(`c${i}`)));
    const books = [1, 2, 3, 4].map(() =>
      createSlotClient(stage.connect(), stage.keys, BATCH, createRedisClock(), 10),
    );
    const answers = await Promise.all(
      candidates.map((one, i) =>
        asker === 'calls' ? books[i % 4]?.ask([one]) : books[i % 4]?.askForCheck(),
      ),
    );
    expect(answers.filter((answer) => answer?.kind === 'slot')).toHaveLength(1);
    expect(answers.filter((answer) => answer?.kind === 'held')).toHaveLength(19);
  });
});

describe('what the probe is, by the proof that is wanted', () => {
  test('check: no call, but the check', async () => {
    const { book, stage, candidate } = await desk('check');
    expect(await book.ask([await candidate('c1')])).toMatchObject({ kind: 'held' });
    expect(slotOf(await book.askForCheck())).toMatchObject({ probe: true, epoch: '1' });
    expect(await stage.redis.hget(`${stage.keys.callPrefix}c1`, 'sentAt')).toBeNull();
  });

  test('import, scout: a call, not the check', async () => {
    for (const proof of ['import', 'scout'] as const) {
      const { book, candidate } = await desk(proof);
      expect(await book.askForCheck()).toMatchObject({ kind: 'held' });
      expect(slotOf(await book.ask([await candidate('c1')])).probe).toBe(true);
    }
  });

  test('not held: no check', async () => {
    const { book } = await desk();
    expect(await book.askForCheck()).toMatchObject({ kind: 'held' });
  });

  test('import: the best class that asks, whoever else waits', async () => {
    const { book, stage, candidate } = await desk('import');
    await stage.redis.hset(stage.keys.pacePrefix + BATCH, 'want:0', String(Date.now() * 1_000));
    expect(await book.ask([await candidate('c1', 'split'), await candidate('c2', 'redrive')])).toMatchObject({
      kind: 'slot',
      index: 0,
    });
  });

  test('outage: the classes that wait take turns', async () => {
    const { stage, book, candidate } = await desk('import');
    const asking = [await candidate('c1'), await candidate('c2', 'retry')];
    for (const [probes, index] of [
      [0, 0],
      [1, 1],
      [2, 0],
    ]) {
      await stage.redis.hset(stage.keys.hold, 'kind', 'outage', 'probes', probes as number);
      await stage.redis.hdel(stage.keys.hold, 'probeUntil');
      await eventually('a probe goes', async () => {
        const answer = await book.ask(asking);
        return answer.kind === 'slot' && answer.index === index;
      });
    }
  });

  test('import: the call that failed last goes after the others, but where it waits alone it goes', async () => {
    const { stage, book, candidate } = await desk('import');
    await stage.redis.hset(stage.keys.hold, 'failedProbe', 'c1');
    const [first, other, part] = [
      await candidate('c1'),
      await candidate('c2', 'retry'),
      await candidate('c1', 'split'),
    ];
    expect(await book.ask([first, other, part])).toMatchObject({ kind: 'slot', index: 1 });
    await stage.redis.hdel(stage.keys.hold, 'probeUntil');
    await eventually('one of its calls goes', async () => (await book.ask([first, part])).kind === 'slot');
  });

  test('scout: a single account before the others', async () => {
    const { book, candidate } = await desk('scout');
    const [live, split] = [await candidate('c1', 'live'), await candidate('c2', 'split')];
    expect(await book.ask([live, split])).toMatchObject({ kind: 'slot', index: 1 });
  });

  test('scout: when the quick ones proved nothing, every other probe is a call of many', async () => {
    const { book, stage, candidate } = await desk('scout');
    const one = await candidate('c1', 'split');
    const probeAt = async (probes: number): Promise<void> => {
      await stage.redis.hdel(stage.keys.hold, 'probeUntil');
      await stage.redis.hset(stage.keys.hold, 'probes', String(probes), 'nextProbeAt', String(Date.now()));
    };
    for (const probes of [0, 2, 4, 6]) {
      // Single accounts, on their own line, have a quarter of a second, which a stalled test may miss once.
      await eventually(`held at probe ${probes}`, async () => {
        await probeAt(probes);
        return (await book.ask([one])).kind === 'held';
      });
    }
    await probeAt(3);
    expect(slotOf(await book.ask([one])).probe).toBe(true);
  });

  test('new: the check looks for a call, and then only that call goes', async () => {
    const { book, stage, candidate } = await desk('new');
    const hold = createHoldState(stage.redis, stage.keys);
    const [one, two] = [await candidate('c1'), await candidate('c2', 'retry')];
    expect(await book.ask([one, two])).toMatchObject({ kind: 'held' });
    const check = slotOf(await book.askForCheck());
    expect(await book.askForCheck()).toMatchObject({ kind: 'held' });
    await hold.newcomer(check, `${stage.keys.callPrefix}c2`, true);
    expect(await book.ask([one])).toMatchObject({ kind: 'held' });
    expect(await book.askForCheck()).toMatchObject({ kind: 'held' });
    const chosen = await book.ask([one, two]);
    expect(chosen).toMatchObject({ kind: 'slot', index: 1 });
    expect(slotOf(chosen).probe).toBe(true);
    expect(await book.ask([one, two])).toMatchObject({ kind: 'held' });
  });
});

test('cleared: slots of the new epoch, which tell the time held', async () => {
  const { book, stage, candidate } = await desk();
  const hold = createHoldState(stage.redis, stage.keys);
  const one = await candidate('c1');
  const before = slotOf(await book.ask([one]));
  expect(before).toMatchObject({ epoch: '0', heldMs: 0, probe: false });
  await hold.blocked(before, { errorCode: 60006, errorInfo: '', kind: 'configuration' });
  await stage.redis.hincrby(stage.keys.hold, 'heldSince', -7_000);
  await hold.success({ epoch: '1', probe: true });
  const after = slotOf(await book.ask([one]));
  expect(after).toMatchObject({ epoch: '2', probe: false });
  expect(after.heldMs).toBeGreaterThanOrEqual(7_000);
});

test('paused: nothing, not even a probe', async () => {
  for (const proof of [undefined, 'import', 'check'] as const) {
    const { book, stage, candidate } = await desk(proof);
    await stage.redis.hset(stage.keys.hold, 'paused', '{}');
    expect(await book.ask([await candidate('c1')])).toMatchObject({ kind: 'paused' });
    expect(await book.askForCheck()).toMatchObject({ kind: 'paused' });
  }
});
