import type { Rule, Scenario } from '../../../simulator/scenario/scenario.ts';
import { type Arena, QUOTA } from '../arena.ts';
import type { Row } from '../row.ts';

/** The API at its worst. Events come faster than they can go, so that the full rate shows when it is back. */

/** The rate is full again this long after the fault. */
const FULL_AGAIN_MS = 5_000;
/** A limit is felt for every few seconds only, or it would be met as often (docs/decisions/0023). */
const AFTER_THROTTLE_MS = 6_500;

interface Storm {
  readonly name: string;
  readonly what: string;
  readonly scenario: Scenario;
  readonly ms: number;
}

const all = (action: Rule['action'], rate = 1): Scenario => ({ rules: [{ match: { rate }, action }] });

const STORMS: readonly Storm[] = [
  {
    name: 'api-hangs',
    what: 'hangs and never answers',
    scenario: all({ hangMs: -1 }),
    ms: 12_000,
  },
  {
    name: 'api-60s',
    what: 'answers after 60 s',
    scenario: all({ hangMs: 60_000, work: 'at-arrival' }),
    ms: 12_000,
  },
  {
    name: 'api-half',
    what: 'breaks off in the middle of its answers',
    scenario: all({ truncate: true }),
    ms: 8_000,
  },
  {
    name: 'api-reset-before',
    what: 'resets connections before the work',
    scenario: all({ reset: 'before' }),
    ms: 8_000,
  },
  {
    name: 'api-reset-after',
    what: 'resets connections after the work',
    scenario: all({ reset: 'after' }),
    ms: 8_000,
  },
  {
    name: 'api-502',
    what: "answers 502 with a gateway's page",
    scenario: all({ httpStatus: 502, work: 'at-arrival' }),
    ms: 8_000,
  },
  {
    name: 'api-garbage',
    what: 'answers 200 with something else',
    scenario: all({ garbage: true }),
    ms: 8_000,
  },
  {
    name: 'api-mixed',
    what: 'does a third of all of these at a time',
    scenario: {
      rules: [
        ...[{ truncate: true } as const, { reset: 'before' } as const, { reset: 'after' } as const].map(
          (action) => ({ match: { rate: 0.08 }, action }),
        ),
        { match: { rate: 0.08 }, action: { httpStatus: 502 } },
        { match: { rate: 0.08 }, action: { garbage: true } },
        { match: { rate: 0.04 }, action: { hangMs: -1 } },
      ],
    },
    ms: 15_000,
  },
  {
    name: 'api-slow',
    what: 'is slow, up to 10 s',
    // Slow to answer. A call that it *works on* later than the API's own time-out of 3 s allows may undo what came after:
    // that is not promised (docs/reliability.md).
    scenario: { ...all({ latencyMs: [100, 10_000] }), workAt: 'at-arrival' },
    ms: 20_000,
  },
];

function storm({ name, what, scenario, ms }: Storm): Row {
  return {
    name,
    promise: `the API ${what} for ${ms / 1000} s: the full rate is back ${FULL_AGAIN_MS / 1000} s after`,
    arena: { workers: 2, eventsPerSecond: 225 },
    async run(arena) {
      await arena.fullRate(Date.now());
      arena.faults(scenario);
      await arena.sleep(arena.brief ? 4_000 : ms);
      await heal(arena, () => arena.faults({}));
    },
  };
}

async function heal(arena: Arena, mend: () => void, atMostMs = FULL_AGAIN_MS): Promise<void> {
  // A backlog that outlasts the recovery.
  await arena.flow.burst(800);
  const healedAtMs = Date.now();
  mend();
  const took = await arena.fullRate(healedAtMs);
  arena.progress(`the full rate was back after ${(took / 1000).toFixed(1)} s`);
  arena.took('full rate', took, atMostMs);
  arena.flow.rate(80);
}

const away: Row = {
  name: 'api-away',
  promise:
    'nobody listens at the address of the API for 60 s (12 s in brief): the full rate is back 5 s after',
  arena: { workers: 2, eventsPerSecond: 140 },
  async run(arena) {
    await arena.fullRate(Date.now());
    // What a closed port looks like to those who are connected, and to those who try.
    arena.faults(all({ reset: 'before' }));
    await arena.sleep(arena.brief ? 12_000 : 60_000);
    await heal(arena, () => arena.faults({}));
  },
};

const quotaHalved: Row = {
  name: 'api-quota-halved',
  promise:
    'the API allows half of the quota for 20 s: calls go on at what it allows, and the full rate is back 5 s after',
  arena: { workers: 2, eventsPerSecond: 225 },
  async run(arena) {
    await arena.fullRate(Date.now());
    arena.simulator.setQuotas({ multiaccount_import: QUOTA / 2 });
    const before = arena.simulator.report().commands.multiaccount_import;
    await arena.sleep(arena.brief ? 8_000 : 20_000);
    const after = arena.simulator.report().commands.multiaccount_import;
    const refused = (after?.refused ?? 0) - (before?.refused ?? 0);
    const calls = (after?.calls ?? 0) - (before?.calls ?? 0);
    arena.note(`${refused} of ${calls} calls refused while halved`);
    await heal(arena, () => arena.simulator.setQuotas({ multiaccount_import: QUOTA }), AFTER_THROTTLE_MS);
  },
};

export const apiRows: readonly Row[] = [...STORMS.map(storm), away, quotaHalved];
