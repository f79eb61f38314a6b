import { CallQueues } from '../../src/calls/bullmq/queues.ts';
import { sweep } from '../../src/calls/sweep.ts';
import { type CutAnswer, cutCalls } from '../../src/intake/cut.ts';
import { keepCallsAlive } from '../../src/ledger/claim.ts';
import { entriesOf } from '../../src/ledger/record.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { settlementBy } from './settlements.ts';
import { BATCH, limits, oldForm, SINGLE, type Stage, user, users, useStages } from './stage.ts';

/** A call that the process which cuts it takes in hand: its run owns the record from the cut on, and it has no job. */
const fresh = useStages();

const cutBy = ({ redis, keys }: Stage, run = 'run-1', changed = {}): Promise<CutAnswer> =>
  cutCalls({ redis, keys }, { ...limits, ...changed }, run);

function inHandOf(answer: CutAnswer) {
  if (answer.kind !== 'cut' || answer.local === undefined)
    throw new Error(`nothing was taken in hand: ${JSON.stringify(answer)}`);
  return answer.local;
}

test('the answer is the record as a claim would read it, and its run owns it', async () => {
  const stage = fresh();
  await stage.add(user('ann', 'nick', 'Ann'), user('bob'), user('ann', 'nick', 'Anne'));
  const { record, run, users: count } = inHandOf(await cutBy(stage));
  expect(count).toBe(2);
  expect(await stage.redis.hget(stage.keys.callPrefix + record.callId, 'run')).toBe(run);
  const claimed = await stage.take(record.callId, run);
  expect({ ...record, readAtMs: 0 }).toEqual({ ...claimed, readAtMs: 0 });
  expect(await stage.problems()).toEqual([]);
});

test('its run settles it without a claim; one that took it over meanwhile has it instead', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  await stage.add(...users(3, 'a'));
  const first = inHandOf(await cutBy(stage));
  const settle = (callId: string, run: string, record = first.record) =>
    settleRecord(
      redis,
      keys,
      callId,
      run,
      settlementBy(record, () => 'import'),
    );
  expect(await settle(first.record.callId, first.run)).toMatchObject({ kind: 'settled' });
  await stage.add(...users(3, 'b'));
  const second = inHandOf(await cutBy(stage, 'run-2'));
  await stage.take(second.record.callId, 'another');
  expect(await settle(second.record.callId, second.run, second.record)).toEqual({ kind: 'lost' });
  expect(await stage.problems()).toEqual([]);
});

test('the single calls that are cut beside it are for jobs', async () => {
  const stage = fresh();
  await stage.add(user('ann'), user('robot1', 'type', '1'), user('bob'));
  const answer = await cutBy(stage, 'run-1', oldForm);
  expect(entriesOf(inHandOf(answer).record)).toHaveLength(2);
  expect(answer).toMatchObject({ calls: [{ command: SINGLE, users: 1 }] });
  const [single] = answer.kind === 'cut' ? answer.calls : [];
  expect(await stage.redis.hget(stage.keys.callPrefix + single?.callId, 'run')).toBe(null);
  expect(await stage.problems()).toEqual([]);
});

describe('seen from outside', () => {
  const opened = (stage: Stage) =>
    new CallQueues(stage.redis, stage.keys, [BATCH, SINGLE], (error) => {
      throw error;
    });
  const longAgo = (stage: Stage, callId: string) =>
    stage.redis.zadd(stage.keys.open, Date.now() - 60_000, callId);

  test('it counts as active; once it has a job, the job is counted', async () => {
    const stage = fresh();
    const queues = opened(stage);
    await stage.add(user('ann'), user('robot1', 'type', '1'));
    const answer = await cutBy(stage, 'run-1', oldForm);
    const { record } = inHandOf(answer);
    const single = answer.kind === 'cut' ? answer.calls.map(({ callId }) => callId) : [];
    await queues.add(SINGLE, single);
    expect(await queues.counts(BATCH)).toEqual({ waiting: 0, active: 1, delayed: 0 });
    expect(await queues.counts(SINGLE)).toEqual({ waiting: 1, active: 0, delayed: 0 });
    await queues.addAgain(BATCH, record.callId, 60_000);
    expect(await queues.counts(BATCH)).toEqual({ waiting: 0, active: 0, delayed: 1 });
    await queues.close();
  });

  test('the sweep lets it be while its process shows that it moves, and makes its job when it does not', async () => {
    const stage = fresh();
    const { redis, keys } = stage;
    const queues = opened(stage);
    const swept = () => sweep({ redis, keys }, queues, 60_000);
    await stage.add(user('ann'));
    const { callId } = inHandOf(await cutBy(stage)).record;
    await longAgo(stage, callId);
    await keepCallsAlive({ redis, keys }, [callId]);
    expect(await swept()).toMatchObject({ putBack: 0 });
    await longAgo(stage, callId);
    expect(await swept()).toMatchObject({ putBack: 1 });
    expect(await queues.place(BATCH, callId)).toBe('coming');
    await queues.close();
  });

  test('showing that it moves brings no call forward that was put off, and none back that is closed', async () => {
    const stage = fresh();
    const { redis, keys } = stage;
    const dueAt = Date.now() + 3_600_000;
    await redis.zadd(keys.open, dueAt, 'later');
    await keepCallsAlive({ redis, keys }, ['later', 'closed']);
    expect(await redis.zrange(keys.open, '0', '-1', 'WITHSCORES')).toEqual(['later', String(dueAt)]);
  });
});
