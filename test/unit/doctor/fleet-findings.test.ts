import { fleetFindings, quotaFindings } from '../../../src/doctor/fleet-findings.ts';

const NOW_MS = 1_700_000_000_000;
const totals = {
  ...{
    nowMs: NOW_MS,
    waiting: 0,
    parked: 0,
    usersInCalls: {},
    oldestWaitingMs: null,
    oldestUnfinishedMs: null,
    suspectedCalls: 0,
    accepted: 0,
    imported: 0,
  },
  ...{ superseded: 0, deadLettered: 0, forgotten: 0, deadByReason: {}, deadByCode: {}, oldestLetterMs: null },
};
const state = { epoch: '1', hold: null, proof: null, pause: null, heldMs: 0 };

interface Facts {
  readonly totals: Parameters<typeof fleetFindings>[0];
  readonly state: Parameters<typeof fleetFindings>[1];
  readonly workers: Parameters<typeof fleetFindings>[2];
}

function findingOf(name: string, changes: Partial<Facts>) {
  const facts: Facts = { totals, state, workers: [], ...changes };
  return fleetFindings(facts.totals, facts.state, facts.workers).find((finding) => finding.name === name);
}

describe('fleetFindings', () => {
  test('a missing worker is wrong only if events wait', () => {
    expect(findingOf('workers', {})).toMatchObject({
      state: 'skipped',
      todo: expect.stringContaining('imsync worker'),
    });
    expect(findingOf('workers', { totals: { ...totals, waiting: 7 } })).toMatchObject({
      state: 'wrong',
      text: 'No worker runs, and 7 events wait',
    });
  });

  test('workers are counted and their versions are named', () => {
    const workers = [
      { id: 'a', version: '1.0.0', lastSeen: NOW_MS - 9_000 },
      { id: 'b', version: '1.1.0', lastSeen: NOW_MS - 3_000 },
    ];
    expect(findingOf('workers', { workers })?.text).toBe(
      '2 workers run (version 1.0.0, 1.1.0), last seen 3 s ago',
    );
  });

  test('a hold and a pause are separate findings', () => {
    const hold = {
      errorCode: 70009,
      errorInfo: 'wrong key',
      kind: 'credentials',
      since: NOW_MS - 1,
      nextProbeAt: NOW_MS + 5_000,
    };
    expect(findingOf('hold', { state: { ...state, hold } })).toMatchObject({
      state: 'wrong',
      text: expect.stringMatching(/\(credentials\): 70009 wrong key; next probe in 5 s$/),
    });
    expect(findingOf('pause', { state: { ...state, hold } })?.state).toBe('ok');
    expect(
      findingOf('pause', { state: { ...state, pause: { reason: 'lunch', since: NOW_MS } } }),
    ).toMatchObject({
      state: 'wrong',
      text: expect.stringContaining(': lunch'),
    });
  });

  test('the quota finding names quota, share, margin and rate', () => {
    const [finding] = quotaFindings({ multiaccount_import: { perSecond: 100, share: 0.79, margin: 0.01 } });
    expect(finding?.text).toContain(
      '100 calls/s are allowed, and 79 % of them are used, less a margin of 1 %; at most 78.2 start per second',
    );
  });
});
