import fc from 'fast-check';
import type { RawEntry } from '../../src/event/event.ts';
import { createApiModel, type Process, type Run, startProcess } from './crew.ts';
import { expectDrained, fieldsOf, type Made } from './ledger-model.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

/**
 * Three processes, one step at a time in any order: after every step all is where it must be. A step that
 * cannot be done at the time (nothing to claim, nothing to settle) is none.
 */
const fresh = useStages();

/** No further play is begun after this, on a machine that is busy. */
const ENOUGH_MS = 12_000;

type Step =
  | { readonly do: 'produce'; readonly made: Made }
  | { readonly do: 'cut'; readonly process: number; readonly maxUsers: number; readonly maxOpen: number }
  | { readonly do: 'claim'; readonly process: number; readonly call: number; readonly stays: number }
  | { readonly do: 'send' | 'land' | 'settle' | 'crash'; readonly run: number };

const made: fc.Arbitrary<Made> = fc.record({
  user: fc.nat(4),
  kind: fc.constantFrom('good', 'good', 'good', 'good', 'bad', 'bad', 'robot', 'large', 'malformed'),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('produce' as const), made }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('cut' as const),
      process: fc.nat(2),
      maxUsers: fc.integer({ min: 1, max: 4 }),
      maxOpen: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('claim' as const),
      process: fc.nat(2),
      call: fc.nat(20),
      // Bits by user: whose events stay for another call.
      stays: fc.constantFrom(0, 0, 1, 2, 5, 31),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('send' as const, 'land' as const, 'settle' as const),
      run: fc.nat(20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), run: fc.nat(20) }) },
);

interface Going {
  readonly run: Run;
  phase: 'claimed' | 'sent' | 'answered';
}

async function play(stage: Stage, processes: readonly Process[], steps: readonly Step[]): Promise<void> {
  const api = createApiModel();
  const accepted: RawEntry[] = [];
  let going: Going[] = [];
  /** On the wire with nobody left to hear the answer. */
  let orphans: Going[] = [];
  await stage.redis.hset(stage.keys.pacePrefix + BATCH, 'next', '0');

  const land = (one: Going): void => {
    api.land(one.run.unheard.imported);
    one.phase = 'answered';
  };
  const pick = (n: number, phase?: Going['phase']): Going | undefined => {
    const fit = going.filter((one) => phase === undefined || one.phase === phase);
    return fit[n % Math.max(1, fit.length)];
  };
  const leave = (one: Going): void => {
    going = going.filter((other) => other !== one);
  };
  const claim = async (process: Process, callId: string, stays: number): Promise<void> => {
    const run = await process.claim(callId, (user) => ((stays >> Number(user.slice(1))) & 1) === 1);
    if (run !== undefined) going.push({ run, phase: 'claimed' });
  };
  const send = async (one: Going): Promise<void> => {
    if (!(await one.run.process.slot(one.run))) {
      leave(one);
      return;
    }
    // The new run waits until what an earlier one sent can no longer arrive: so it has arrived by now.
    const earlier = [...orphans, ...going].filter(
      (other) => other !== one && other.phase === 'sent' && other.run.callId === one.run.callId,
    );
    for (const other of earlier) land(other);
    orphans = orphans.filter((other) => other.phase === 'sent');
    one.phase = 'sent';
  };
  const settle = async (one: Going): Promise<void> => {
    await one.run.process.settle(one.run);
    leave(one);
  };

  const take = async (next: Step): Promise<void> => {
    switch (next.do) {
      case 'produce': {
        const fields = fieldsOf(next.made);
        const [eventId = ''] = await stage.add(fields);
        accepted.push({ eventId, fields });
        return;
      }
      case 'cut':
        await processes[next.process]?.cut(next.maxUsers, next.maxOpen);
        return;
      case 'claim': {
        const open = await stage.redis.zrange(stage.keys.open, '0', '-1');
        const callId = open[next.call % Math.max(1, open.length)];
        const process = processes[next.process];
        if (callId !== undefined && process !== undefined) await claim(process, callId, next.stays);
        return;
      }
      case 'send': {
        const one = pick(next.run, 'claimed');
        if (one !== undefined) await send(one);
        return;
      }
      case 'land': {
        const one = pick(next.run, 'sent');
        if (one !== undefined) land(one);
        return;
      }
      case 'settle': {
        const one = pick(next.run, 'answered');
        if (one !== undefined) await settle(one);
        return;
      }
      case 'crash': {
        const one = pick(next.run);
        if (one === undefined) return;
        leave(one);
        if (one.phase === 'sent') orphans.push(one);
      }
    }
  };
  for (const next of steps) {
    await take(next);
    expect({ after: next, problems: await stage.problems() }).toEqual({ after: next, problems: [] });
  }
  // Drain: whoever is left comes to an end, and another process does the rest.
  for (let rounds = 0; ; rounds++) {
    if (rounds > 1_000) throw new Error('what waits does not drain');
    const [process] = processes;
    if (process === undefined) return;
    for (const one of [...going]) {
      if (one.phase === 'claimed') await send(one);
      if (one.phase === 'sent') land(one);
      if (one.phase === 'answered') await settle(one);
    }
    await process.cut(3);
    const open = await stage.redis.zrange(stage.keys.open, '0', '-1');
    for (const callId of open) await claim(process, callId, 0);
    const waiting =
      (await stage.redis.xlen(stage.keys.stream)) + (await stage.redis.llen(stage.keys.returned));
    if (open.length === 0 && waiting === 0) break;
  }
  await expectDrained(stage, accepted, api);
}

test('whatever the order of their steps, three processes keep every promise of the ledger', async () => {
  const first = fresh();
  const connections = [first.connect(), first.connect(), first.connect()];
  const enoughAtMs = performance.now() + ENOUGH_MS;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 150, size: 'max' }), async (steps) => {
      if (performance.now() > enoughAtMs) return;
      const stage = fresh();
      const processes = connections.map((redis, i) =>
        startProcess({ ...stage, connect: () => redis }, `p${i}`),
      );
      await play(stage, processes, steps);
    }),
    { seed: 1400000000, numRuns: 60 },
  );
}, 120_000);
