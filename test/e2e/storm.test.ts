import type { Rule, Scenario } from '../../simulator/scenario/scenario.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { VERDICT_TABLES } from '../../src/im/verdict-rows.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';

/** A fault of the app that all calls meet; nobody may be dead-lettered for it. */
interface Storm {
  readonly name: string;
  readonly kind: string;
  readonly rules: readonly Rule[];
  /** Import calls that the fault may see at most: those on the wire, and probes. */
  readonly atMostCalls: number;
}

const onTheWire = 60;
const storms: readonly Storm[] = [
  {
    name: '70003, UserSig illegal',
    kind: 'credentials',
    rules: [{ action: { errorCode: 70003 } }],
    atMostCalls: onTheWire,
  },
  {
    name: '70403, not an admin',
    kind: 'permission',
    rules: [{ action: { errorCode: 70403 } }],
    atMostCalls: onTheWire,
  },
  {
    name: '60016, app disabled',
    kind: 'disabled',
    rules: [{ action: { errorCode: 60016 } }],
    atMostCalls: onTheWire,
  },
  {
    name: '70020, wrong region',
    kind: 'region',
    rules: [{ action: { errorCode: 70020 } }],
    atMostCalls: onTheWire,
  },
  {
    name: '70398, account quota',
    kind: 'quota',
    rules: [{ action: { errorCode: 70398 } }],
    atMostCalls: onTheWire,
  },
  {
    name: 'HTTP 404',
    kind: 'configuration',
    rules: [{ action: { httpStatus: 404 } }],
    atMostCalls: onTheWire,
  },
  {
    name: '70999, which no table lists',
    kind: 'brake',
    rules: [{ action: { errorCode: 70999 } }],
    atMostCalls: onTheWire,
  },
  {
    name: '60003, wrong form',
    kind: 'brake',
    rules: [{ action: { errorCode: 60003 } }],
    atMostCalls: onTheWire,
  },
  {
    name: 'everybody in FailAccounts, and refused alone',
    kind: 'brake',
    rules: [
      { match: { command: 'multiaccount_import' }, action: { failAccounts: true } },
      { match: { command: 'account_import' }, action: { errorCode: 70402 } },
    ],
    atMostCalls: 2 * onTheWire,
  },
  {
    name: '70169 to everything',
    kind: 'outage',
    rules: [{ action: { errorCode: 70169 } }],
    atMostCalls: 600 + onTheWire,
  },
  {
    name: 'connections reset',
    kind: 'outage',
    rules: [{ action: { reset: 'before' } }],
    atMostCalls: 600 + onTheWire,
  },
];

/** One code of each kind is enough for every day; STORMS=all takes every code of class `app` (some minutes). */
const byTable: readonly Storm[] = VERDICT_TABLES.multiaccount_import
  .filter((row) => row.class === 'app')
  .flatMap((row) =>
    row.codes.map((code) => ({
      name: `${code} of the table`,
      kind: row.holdKind ?? 'configuration',
      rules: [{ action: { errorCode: code } }],
      atMostCalls: onTheWire,
    })),
  );
/** 70050 is probed once a minute: two probes, and the one that ends it. */
const PROBES_MS = 200_000;

describe('a fault of the app is not a fault of its accounts', () => {
  let fleet: Fleet;
  let round = 0;

  beforeAll(async () => {
    fleet = await startFleet({ workers: 3, simulator: { latencyMs: [20, 60] } });
  }, 120_000);
  afterAll(() => fleet.stop());

  test.each(process.env.STORMS === 'all' ? [...storms, ...byTable] : storms)(
    '$name holds the fleet ($kind), and all are imported afterwards',
    async ({ kind, rules, atMostCalls }) => {
      const users = 5_000;
      const hold = createHoldState(fleet.redis, fleet.keys);
      const before = await fleet.books();
      fleet.simulator.setFaults({ rules } as Scenario);
      const calls = (): number =>
        (fleet.simulator.report().commands.multiaccount_import?.calls ?? 0) +
        (fleet.simulator.report().commands.account_import?.calls ?? 0);
      const callsBefore = calls();
      await fleet.addUsers(users, `storm${round++}-`);
      const held = await eventually('the fleet is held', async () => {
        const state = await hold.read();
        return state.hold?.kind === kind ? state.hold : null;
      });
      expect(held.since).toBeGreaterThan(0);
      // Several probes go out while the fault lasts.
      const checks = (): number => fleet.simulator.report().commands.account_check?.calls ?? 0;
      const [probesFrom, checksFrom] = [calls(), checks()];
      await eventually('two probes', () => calls() - probesFrom + checks() - checksFrom >= 2, PROBES_MS);
      const during = await fleet.books();
      expect(during.deadLettered).toBe(before.deadLettered);
      expect(calls() - callsBefore).toBeLessThanOrEqual(atMostCalls);
      fleet.simulator.setFaults({});

      const after = await fleet.drained(PROBES_MS);
      expect(after.deadLettered).toBe(before.deadLettered);
      expect(after.imported - before.imported).toBe(users);
      expect((await hold.read()).hold).toBeNull();
      expect(await booksProblems(fleet.redis, fleet.keys)).toEqual([]);
      expect((await audit(fleet.redis, fleet.keys)).problems).toEqual([]);
    },
    2 * PROBES_MS,
  );
});
