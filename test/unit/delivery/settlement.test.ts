import fc from 'fast-check';
import { decide, decideChecked, preflight } from '../../../src/delivery/policy/decide.ts';
import type { Decision } from '../../../src/delivery/policy/decision.ts';
import { invalidLetter, refusedLetter } from '../../../src/delivery/policy/letter.ts';
import {
  type ApiRequest,
  FIRST_CALL,
  type PendingUser,
  requestsOf,
} from '../../../src/delivery/policy/pending-user.ts';
import { remainingAfter, settlementOf, talliesOf } from '../../../src/delivery/policy/settlement.ts';
import type { ValidEntry } from '../../../src/event/event.ts';
import type { Settlement } from '../../../src/ledger/settle.ts';
import {
  commands,
  entryLists,
  entryOf,
  pendingUserOf,
  pendingUsersOf,
  rawOf,
  verdictFor,
  verdicts,
} from './entries.ts';

const whoseFaults = fc.constantFrom('theirs' as const, 'lone' as const, 'unknown' as const);
const kept = { tries: 1, attempts: [], suspects: new Map(), dueAtMs: 0, firstSentAtMs: 5, heldMsAtFirst: 0 };

function ledger(entries: readonly ValidEntry[]) {
  const raws = new Map(entries.map((entry) => [entry.eventId, rawOf(entry)]));
  const before: Map<string, PendingUser> = new Map(
    pendingUsersOf(entries).map((user) => [user.userId, user]),
  );
  const settlementFor = ({
    decision: { imported, refused },
    ...step
  }: Pick<Parameters<typeof settlementOf>[0], 'before' | 'after'> & {
    decision: Pick<Decision, 'imported' | 'refused'>;
  }): Settlement => {
    const deaths = refused.map((one) => {
      const raw = rawOf(one.entry);
      return { raw, letter: refusedLetter(raw, one, 'multiaccount_import', []) };
    });
    return settlementOf({ ...step, imported, deaths, entries: () => raws, kept });
  };
  return { before, settlementFor };
}

/** As settle.lua counts. */
const endings = ({ imported, superseded, dead, kept: stays }: Settlement): number =>
  imported.length + superseded + dead.length + (stays?.entries.length ?? 0);

/** A whole run: calls and their answers, until every request is done or goes later. Checks each settlement. */
function runThrough(
  entries: readonly ValidEntry[],
  answers: Iterator<{ verdict: number; failing: boolean }>,
) {
  const { before, settlementFor } = ledger(entries);
  let remaining = before;
  const ended: string[] = [];
  const released: string[] = [];
  const told: string[] = [];
  const settle = (decision: Parameters<typeof remainingAfter>[1]): void => {
    const after = remainingAfter(remaining, decision);
    const settlement = settlementFor({ before: remaining, after, decision });
    const eventsBefore = [...remaining.values()].flatMap(({ events }) => events).length;
    expect(endings(settlement)).toBe(eventsBefore);
    expect(settlement.kept?.users ?? 0).toBe(after.size);
    // Every ending is an outcome, once.
    expect(settlement.outcomes).toHaveLength(endings({ ...settlement, kept: null }));
    expect(new Set(settlement.outcomes.map(({ eventId }) => eventId)).size).toBe(settlement.outcomes.length);
    ended.push(
      ...settlement.imported.map(({ eventId }) => eventId),
      ...settlement.dead.map(({ eventId }) => eventId),
    );
    released.push(...settlement.released);
    told.push(
      ...settlement.publish.map(({ message }) => (JSON.parse(message) as { eventId: string }).eventId),
    );
    remaining = after;
  };
  const pending: ApiRequest[] = requestsOf([...remaining.values()], commands, FIRST_CALL);
  let calls = 0;
  for (let request = pending.shift(); request !== undefined; request = pending.shift()) {
    const { users, refused } = preflight(request.users, 'import-bare');
    if (refused.length > 0) settle({ imported: [], refused });
    if (users.length === 0) continue;
    if (++calls > 1_000) throw new Error('the run does not end');
    const next = answers.next();
    const { verdict, failing } = next.done ? { verdict: 0, failing: false } : next.value;
    const fail = failing ? users.map(({ userId }) => userId) : [];
    const tried = { ...request, users };
    const there = new Map(fail.map((userId) => [userId, verdict === 0]));
    const decision =
      request.command === 'account_check'
        ? decideChecked(tried, there, commands)
        : decide(tried, verdictFor(verdict), fail, {
            commands,
            onProfileFault: 'import-bare',
            whose: 'unknown',
            splitAfter: 2,
            endAfter: 3,
            startedAtMs: 1,
            sameAnswers: 5,
            expired: true,
          });
    if (decision.imported.length + decision.refused.length > 0) settle(decision);
    pending.unshift(...decision.again);
  }
  return { remaining, ended, released, told, users: [...before.keys()] };
}

it('any run of answers balances at each step and ends every event and every user once', () => {
  const answers = fc.array(
    fc.record({
      verdict: fc.constantFrom(0, 0, 70402, 40005, 70399, 70500, 79999, 60003),
      failing: fc.boolean(),
    }),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(entryLists, answers, (entries, list) => {
      const { remaining, ended, released, told, users } = runThrough(entries, list[Symbol.iterator]());
      expect(remaining.size).toBe(0);
      expect(new Set(ended).size).toBe(ended.length);
      expect(released.sort()).toEqual(users.sort());
      const asked = entries.filter(({ event }) => event.replyTo !== undefined).map(({ eventId }) => eventId);
      expect(told.sort()).toEqual(asked.sort());
    }),
    { numRuns: 500 },
  );
});

it('any single decision balances', () => {
  fc.assert(
    fc.property(
      entryLists,
      verdicts,
      fc.boolean(),
      fc.nat(5),
      whoseFaults,
      (entries, verdict, expired, tries, whose) => {
        const { before, settlementFor } = ledger(entries);
        const [request] = requestsOf([...before.values()], commands, FIRST_CALL);
        if (request === undefined) return;
        const fail = request.users.slice(0, 2).map(({ userId }) => userId);
        const policy = {
          commands,
          onProfileFault: 'dead-letter',
          whose,
          splitAfter: 2,
          endAfter: 3,
          startedAtMs: 1,
          sameAnswers: tries,
          expired,
        } as const;
        const decision = decide(request, verdict, fail, policy);
        const after = remainingAfter(before, decision);
        const settlement = settlementFor({ before, after, decision });
        expect(endings(settlement)).toBe(entries.length);
        // Released are exactly those of whom nothing stays.
        const staying = new Set(settlement.kept?.entries.map(({ fields }) => fields[1]));
        for (const userId of before.keys()) {
          expect([userId, settlement.released.includes(userId)]).toEqual([userId, !staying.has(userId)]);
        }
      },
    ),
    { numRuns: 500 },
  );
});

it('an import supersedes the older events of its user and tells who asked', () => {
  const entries = [
    entryOf('a', 1, { replyTo: 'r1' }),
    entryOf('a', 3, { replyTo: 'r3' }),
    entryOf('a', 2),
    entryOf('b', 4),
  ];
  const { before, settlementFor } = ledger(entries);
  const decision = { imported: pendingUsersOf(entries).slice(0, 1), refused: [] };
  const after = remainingAfter(before, decision);
  expect(settlementFor({ before, after, decision })).toEqual({
    imported: [{ userId: 'a', eventId: '3-0' }],
    superseded: 2,
    tallies: [],
    dead: [],
    released: ['a'],
    kept: { ...kept, isIsolated: false, users: 1, entries: [rawOf(entryOf('b', 4))] },
    publish: [
      {
        channel: 'r3',
        message: '{"eventId":"3-0","userId":"a","outcome":"imported","errorCode":0,"hasAccount":true}',
      },
      {
        channel: 'r1',
        message: '{"eventId":"1-0","userId":"a","outcome":"superseded","errorCode":0,"hasAccount":true}',
      },
    ],
    outcomes: [
      { userId: 'a', eventId: '3-0', outcome: 'imported', errorCode: 0, hasAccount: true },
      { userId: 'a', eventId: '2-0', outcome: 'superseded', errorCode: 0, hasAccount: true },
      { userId: 'a', eventId: '1-0', outcome: 'superseded', errorCode: 0, hasAccount: true },
    ],
  });
});

it('tells those who asked, and counts for those who count', () => {
  const entries = [entryOf('a', 1, { replyTo: 'r1', tally: 't' }), entryOf('a', 2), entryOf('b', 3)];
  const { before, settlementFor } = ledger(entries);
  const decision = { imported: pendingUsersOf(entries), refused: [] };
  const step = { before, after: remainingAfter(before, decision), decision };
  const { outcomes, publish, tallies } = settlementFor(step);
  expect(publish.map(({ channel }) => channel)).toEqual(['r1']);
  expect(tallies).toEqual([{ tally: 't', name: 'superseded', count: 1 }]);
  expect(outcomes).toHaveLength(3);
});

it('a dead letter releases its user only with the last event', () => {
  const entries = [entryOf('a', 1), entryOf('a', 2)];
  const { before, settlementFor } = ledger(entries);
  const refuse = (n: number) => ({
    user: pendingUserOf(...entries),
    entry: entryOf('a', n),
    reason: 'rejected' as const,
    verdict: verdictFor(70402),
  });
  const first = { imported: [], refused: [refuse(2)] };
  const left = remainingAfter(before, first);
  expect(settlementFor({ before, after: left, decision: first })).toMatchObject({
    released: [],
    dead: [{ eventId: '2-0', userId: 'a', reason: 'rejected', code: 70402 }],
    kept: { users: 1, entries: [{ eventId: '1-0' }] },
  });
  const second = { imported: [], refused: [refuse(1)] };
  const none = remainingAfter(left, second);
  expect(settlementFor({ before: left, after: none, decision: second })).toMatchObject({
    released: ['a'],
    kept: null,
  });
});

it('what was sent out of turn is a bug that says so', () => {
  const entries = [entryOf('a', 1), entryOf('a', 2)];
  const { before, settlementFor } = ledger(entries);
  const old = { imported: [pendingUserOf(entryOf('a', 1))], refused: [] };
  expect(() => settlementFor({ before, after: before, decision: old })).toThrow(/1-0 was sent out of turn/);
});

it('invalid entries leave first, and release the users nobody else stands for', () => {
  const good = entryOf('a', 3);
  const invalid = [
    { eventId: '1-0', fields: ['nick', 'nobody'] },
    { eventId: '2-0', fields: ['userId', 'a', 'type', '7'] },
    { eventId: '4-0', fields: ['userId', 'b', 'type', '7'] },
    { eventId: '5-0', fields: ['userId', 'b', 'userId', 'c'] },
  ].map((raw) => ({
    raw,
    letter: invalidLetter(raw, { ok: false, eventId: raw.eventId, userId: '', problems: ['x'] }),
  }));
  const entries = new Map([...invalid.map(({ raw }) => raw), rawOf(good)].map((raw) => [raw.eventId, raw]));
  const remaining = new Map([['a', pendingUserOf(good)]]);
  const settlement = settlementOf({
    before: remaining,
    after: remaining,
    imported: [],
    deaths: invalid,
    entries: () => entries,
    kept,
  });
  expect(settlement).toMatchObject({
    imported: [],
    superseded: 0,
    released: ['b', 'c'],
    kept: { users: 1, entries: [{ eventId: '3-0' }] },
    publish: [],
  });
  expect(settlement.dead.map(({ eventId, userId, reason }) => [eventId, userId, reason])).toEqual([
    ['1-0', '', 'invalid'],
    ['2-0', 'a', 'invalid'],
    ['4-0', 'b', 'invalid'],
    ['5-0', 'c', 'invalid'],
  ]);
  expect(settlement.outcomes.map(({ eventId, outcome }) => [eventId, outcome])).toEqual(
    ['1-0', '2-0', '4-0', '5-0'].map((eventId) => [eventId, 'dead-lettered']),
  );
  expect(endings(settlement)).toBe(5);
});

it('tallies count by outcome, dead letters by reason as well; an event of no tally is left out', () => {
  expect(
    talliesOf([
      { tally: 'a', outcome: { outcome: 'imported' } },
      { tally: undefined, outcome: { outcome: 'imported' } },
      { tally: 'a', outcome: { outcome: 'imported' } },
      { tally: 'b', outcome: { outcome: 'superseded' } },
      { tally: 'a', outcome: { outcome: 'dead-lettered', reason: 'expired' } },
    ]),
  ).toEqual([
    { tally: 'a', name: 'imported', count: 2 },
    { tally: 'b', name: 'superseded', count: 1 },
    { tally: 'a', name: 'dead-lettered', count: 1 },
    { tally: 'a', name: 'dead:expired', count: 1 },
  ]);
  expect(talliesOf([])).toEqual([]);
});

it('an invalid entry has its tally all the same, if that is a name', () => {
  const tally = (...fields: string[]): string | undefined => {
    const raw = { eventId: '1-0', fields };
    const letter = invalidLetter(raw, { ok: false, eventId: '1-0', userId: '', problems: ['x'] });
    const entries = () => new Map([['1-0', raw]]);
    const none = { before: new Map(), after: new Map(), imported: [] };
    const { tallies } = settlementOf({ ...none, deaths: [{ raw, letter }], entries, kept });
    return tallies?.[0]?.tally;
  };
  expect(tally('nick', 'x', 'tally', 'import-1')).toBe('import-1');
  expect(tally('tally', 'one', 'tally', 'two')).toBe('two');
  expect([tally('nick', 'tally'), tally('tally', 'a b'), tally('tally', ''), tally('tally')]).toEqual(
    Array(4).fill(undefined),
  );
});
