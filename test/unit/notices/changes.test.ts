import type { RedriveRun } from '../../../src/ledger/letters/redrive-history.ts';
import { changes, nothingTold, type Seen, type Told } from '../../../src/notices/changes.ts';
import type { News } from '../../../src/notices/notice.ts';
import type { ImportOutcome } from '../../../src/notices/task-news.ts';

const S = 1_000;
const MIN = 60 * S;
const HOUR = 60 * MIN;
const START = 1_700_000_000_000;
const BOUND = 10 * MIN;

/** A fleet that is looked at; the test changes what is to be seen. Times count from the start. */
function watched(more: Partial<Seen> = {}) {
  const fleet = {
    ...{ hold: null, pause: null, waiting: 0, oldestUnfinishedMs: null, deadByReason: {}, deadByCode: {} },
    tasks: undefined,
    ...more,
  } as { -readonly [K in keyof Seen]: Seen[K] };
  let told: Told | undefined;
  const look = (atMs: number): News[] => {
    const seen = { ...fleet, nowMs: START + atMs };
    // Each look goes through JSON, as through Redis.
    const before = JSON.parse(JSON.stringify(told ?? nothingTold(seen, seen.tasks?.redrives ?? []))) as Told;
    const now = changes(before, seen, BOUND);
    told = now.told;
    return now.news;
  };
  return {
    fleet,
    look: (atMs: number) => look(atMs),
    /** What is told by looks every 5 s from one time to before the other. */
    between(fromMs: number, toMs: number): string[] {
      const said: string[] = [];
      for (let at = fromMs; at < toMs; at += 5 * S)
        said.push(...look(at).map(({ kind, title }) => `${kind} at ${at / S} s: ${title}`));
      return said;
    },
  };
}

const held = (kind: string, sinceMs: number, errorCode = 70003) => ({
  ...{ kind, errorCode, errorInfo: 'said', since: START + sinceMs, nextProbeAt: 0 },
});

test('a hold is told once it has lasted, reminded of ever more rarely, and its end once calls go on', () => {
  const { fleet, look, between } = watched({ waiting: 1_234 });
  fleet.hold = held('credentials', 0);
  expect(look(0)).toEqual([]);
  const [begun] = look(5 * S);
  expect(begun).toMatchObject({
    kind: 'hold',
    title: 'All calls are held: credentials (70003)',
    facts: { kind: 'credentials', errorCode: 70003, since: START, waiting: 1_234 },
  });
  expect(begun?.text).toBe(
    'Held since 2023-11-14 22:13:20 UTC. The last answer: 70003 said\n' +
      '1,234 events not ended yet; none is lost.\n' +
      'Check IMSYNC_SDK_SECRET_KEY (or IMSYNC_USER_SIG), IMSYNC_ADMIN_ID, and for 70001 the clocks; a key file is read again before each probe. ' +
      'Probes find the recovery by themselves.',
  );
  expect(between(10 * S, 30 * HOUR).map((said) => said.replace(/:.*/, ''))).toEqual([
    'hold at 3605 s',
    'hold at 14405 s',
    'hold at 57605 s',
    'hold at 100805 s',
  ]);
  fleet.hold = null;
  fleet.waiting = 2_000;
  expect(look(30 * HOUR)).toEqual([]);
  fleet.waiting = 0;
  expect(look(30 * HOUR + 15 * S)).toMatchObject([
    {
      kind: 'hold-over',
      text: 'Held from 2023-11-14 22:13:20 UTC to 2023-11-16 04:13:20 UTC, when its end was noticed: 30 h. 2,000 events had not ended by then.',
    },
  ]);
  expect(between(30 * HOUR + 20 * S, 32 * HOUR)).toEqual([]);
});

test('a hold that comes and goes is no storm: two notices in five minutes at most, and short ones are none', () => {
  const { fleet, look } = watched();
  let said = 0;
  for (let at = 0; at < HOUR; at += S) {
    // Held for 20 s, then calls go on for 20 s.
    fleet.hold = at % (40 * S) < 20 * S ? held('outage', at - (at % (40 * S))) : null;
    said += look(at).length;
  }
  expect(said).toBeGreaterThan(2);
  expect(said).toBeLessThanOrEqual(24);
  const short = watched();
  for (let at = 0; at < HOUR; at += S) {
    short.fleet.hold = at % (40 * S) < 4 * S ? held('outage', at - (at % (40 * S))) : null;
    expect(short.look(at)).toEqual([]);
  }
});

test('another kind of hold is told, a minute after the last at the earliest, and is one hold to its end', () => {
  const { fleet, between } = watched();
  fleet.hold = held('outage', 0, 0);
  expect(between(0, 30 * S)).toEqual(['hold at 5 s: All calls are held: outage']);
  fleet.hold = held('quota', 30 * S, 70398);
  expect(between(30 * S, 200 * S)).toEqual([
    'hold at 65 s: All calls are held, now for another reason: quota (70398)',
  ]);
  fleet.hold = null;
  expect(between(200 * S, 300 * S)).toEqual(['hold-over at 215 s: The hold is over, calls go on: quota']);
});

test('a pause and its end are told at once', () => {
  const { fleet, look } = watched({ waiting: 1 });
  fleet.pause = { reason: 'maintenance', since: START };
  expect(look(0)).toMatchObject([
    {
      kind: 'paused',
      text: 'Paused since 2023-11-14 22:13:20 UTC: maintenance.\n1 event not ended yet; none is lost. To go on: imsync resume',
    },
  ]);
  expect(look(5 * S)).toEqual([]);
  expect(look(HOUR)).toMatchObject([{ title: 'Still paused after 60 min' }]);
  fleet.pause = null;
  expect(look(HOUR + S)).toMatchObject([{ kind: 'resumed' }]);
  expect(look(HOUR + 5 * S)).toEqual([]);
});

test('letters that are there are no news; new ones are told together, by reason and code, every ten minutes at most', () => {
  const { fleet, look, between } = watched({ deadByReason: { rejected: 7 }, deadByCode: { 70402: 7 } });
  expect(look(0)).toEqual([]);
  fleet.deadByReason = { rejected: 9, profile: 1 };
  fleet.deadByCode = { 70402: 9, 40005: 1 };
  expect(look(5 * S)).toEqual([]);
  fleet.deadByReason = { rejected: 10, profile: 1 };
  fleet.deadByCode = { 70402: 9, 40005: 1, 0: 1 };
  expect(look(15 * S)).toMatchObject([
    {
      title: '4 new dead letters, 11 unresolved in all',
      text:
        '3 rejected: the API refuses the account: remove the cause, then redrive; or push a corrected event.\n' +
        '1 profile: the account was imported, but the API refused its nick or picture: push the user with another profile.\n' +
        'By error code: 70402 (2), none (1), 40005 (1). See imsync dlq.',
    },
  ]);
  // All are deleted, and as many others come: they are new.
  fleet.deadByReason = {};
  fleet.deadByCode = {};
  expect(look(20 * S)).toEqual([]);
  fleet.deadByReason = { rejected: 10 };
  fleet.deadByCode = { 70402: 10 };
  expect(between(25 * S, 20 * MIN)).toEqual(['letters at 615 s: 10 new dead letters, 10 unresolved in all']);
});

test('an event that does not end is told while calls are made, and so is that all is well again', () => {
  const { fleet, look, between } = watched();
  fleet.oldestUnfinishedMs = BOUND - 1;
  expect(look(0)).toEqual([]);
  fleet.oldestUnfinishedMs = BOUND;
  expect(look(5 * S)).toMatchObject([{ kind: 'oldest', title: 'The oldest event has not ended for 10 min' }]);
  expect(between(10 * S, 5 * MIN)).toEqual([]);
  fleet.oldestUnfinishedMs = 3 * S;
  expect(look(5 * MIN)).toMatchObject([
    { kind: 'oldest-over', title: 'No event is older than 10 min any more' },
  ]);
});

test('what waited while calls were held or paused gets the bound once more before it is told', () => {
  const { fleet, between } = watched();
  fleet.pause = { reason: '', since: START };
  fleet.oldestUnfinishedMs = 5 * HOUR;
  expect(between(0, 30 * MIN)).toHaveLength(1);
  fleet.pause = null;
  const [resumed, ...more] = between(30 * MIN, 45 * MIN);
  expect(resumed).toMatch(/^resumed at 1800 s/);
  expect(more).toEqual(['oldest at 2400 s: The oldest event has not ended for 5 h']);
});

const run = (id: string, state: RedriveRun['state'], endedAt: number | null): RedriveRun => ({
  ...{
    id,
    by: 'ann@host',
    filter: {},
    rate: null,
    force: false,
    asOf: 0,
    startedAt: 0,
    seenAt: 1,
    why: null,
  },
  ...{ letters: 5, users: 4, calls: 1, imported: 3, failed: 1, state, endedAt },
});

test('a redrive is told when it ends, once more when it was resumed, and not when it ended before the first look', () => {
  const { fleet, look } = watched({ tasks: { redrives: [run('r1', 'done', 1)], imports: [] } });
  expect(look(0)).toEqual([]);
  const see = (...redrives: RedriveRun[]) => {
    fleet.tasks = { redrives, imports: [] };
    return look(S).map(({ title }) => title);
  };
  expect(see(run('r1', 'done', 1), run('r2', 'running', null))).toEqual([]);
  expect(see(run('r1', 'done', 1), run('r2', 'interrupted', null))).toEqual([
    'Redrive r2 ended: interrupted',
  ]);
  expect(see(run('r1', 'done', 1), run('r2', 'interrupted', null))).toEqual([]);
  expect(see(run('r1', 'done', 1), run('r2', 'running', null))).toEqual([]);
  expect(see(run('r1', 'done', 1), run('r2', 'done', 9))).toEqual(['Redrive r2 ended: done']);
});

test('an import is told when its events have ended, or ten minutes after its rows, in order', () => {
  const outcome = (id: number, imported: number): ImportOutcome => ({
    ended: {
      ...{ id: `${START + id}-0`, endedAt: START + id, file: `f${id}.csv`, state: 'done', tally: 't' },
      counts: { rows: 12, rejected: 1, there: 1, unasked: 0, added: 10 },
    },
    tally: { accepted: 10, imported, superseded: 0, deadLettered: 0, deadByReason: {} },
  });
  const { fleet, look } = watched({ tasks: { redrives: [], imports: [] } });
  look(0);
  fleet.tasks = { redrives: [], imports: [outcome(1, 9), outcome(2, 10)] };
  expect(look(MIN)).toEqual([]);
  expect(look(10 * MIN + S).map(({ text }) => text.split('\n')[1])).toEqual([
    'Of 10 events 9 were imported, 0 superseded, 0 dead-lettered; 1 are under way.',
    'Of 10 events 10 were imported, 0 superseded, 0 dead-lettered; 0 are under way.',
  ]);
  fleet.tasks = { redrives: [], imports: [outcome(3, 10)] };
  expect(look(11 * MIN).map(({ title }) => title)).toEqual(['The import of f3.csv ended: done']);
});

test("nothing waits for Redis's clock to catch up after it was set back", () => {
  const { fleet, look } = watched({ waiting: 1 });
  fleet.hold = held('outage', 0);
  look(5 * S);
  fleet.hold = null;
  look(10 * S);
  expect(look(-2 * HOUR)).toMatchObject([{ kind: 'hold-over' }]);
  fleet.hold = held('outage', -2 * HOUR);
  expect(look(-2 * HOUR + 5 * S)).toMatchObject([{ kind: 'hold' }]);
});

test('who paused is told; a reason and the name of a file forge no line', () => {
  const { fleet, look } = watched();
  const forged = 'x\n[imsync 1] All is well\u202e';
  fleet.pause = { reason: forged, since: START, by: 'Ann (ann@ops)' };
  const [paused] = look(0);
  expect(paused?.text.split('\n')).toEqual([
    'Paused since 2023-11-14 22:13:20 UTC by Ann (ann@ops): x [imsync 1] All is well.',
    '0 events not ended yet; none is lost. To go on: imsync resume',
  ]);
  expect(paused?.facts).toMatchObject({ by: 'Ann (ann@ops)' });
  const ended = { id: `${START + 1}-0`, endedAt: START, file: forged, state: 'done', tally: 't' };
  const counts = { rows: 12_345, added: 12_345, there: 0, rejected: 0, unasked: 0 };
  const tally = { accepted: 12_345, imported: 12_345, superseded: 0, deadLettered: 0 };
  fleet.tasks = { redrives: [], imports: [{ ended: { ...ended, counts }, tally }] } as never;
  const [told] = look(20_000);
  expect(told?.title).toBe('The import of x [imsync 1] All is well ended: done');
  expect(told?.text).toContain('12,345 added');
});

test('all numbers of a notice are written in one way', () => {
  const { fleet, look } = watched();
  look(0);
  fleet.deadByReason = { rejected: 10_000 };
  fleet.deadByCode = { 70402: 10_000 };
  look(5 * S);
  const [told] = look(20 * S);
  expect(told?.title).toBe('10,000 new dead letters, 10,000 unresolved in all');
  expect(told?.text).toMatch(/^10,000 rejected: [\s\S]*By error code: 70402 \(10,000\)/);
});
