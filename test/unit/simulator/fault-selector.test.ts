import { type AccountItem, bareItem } from '../../../simulator/accounts/account-store.ts';
import { seededRandom, stickyFraction } from '../../../simulator/randomness.ts';
import { FaultSelector } from '../../../simulator/scenario/fault-selector.ts';
import { readScenario } from '../../../simulator/scenario/scenario.ts';

const SEED = 42;
const SINCE_MS = 1_000_000;

function selectorOf(...rules: unknown[]): FaultSelector {
  return new FaultSelector(readScenario({ rules }).rules ?? [], SEED, seededRandom(SEED), SINCE_MS);
}

function items(...userIds: string[]): AccountItem[] {
  return userIds.map(bareItem);
}

const CALL = 'multiaccount_import';
const manyIds = Array.from({ length: 2000 }, (_, i) => `user-${i}`);

describe('FaultSelector', () => {
  test('a rule matches by command, time and number of uses', () => {
    const selector = selectorOf({
      match: { command: CALL, fromMs: 100, untilMs: 200, times: 2 },
      action: { errorCode: 70500 },
    });
    const hit = (command: string, sinceMs: number) =>
      selector.select(command, items('a'), SINCE_MS + sinceMs).callFault !== undefined;
    expect(hit(CALL, 99)).toBe(false);
    expect(hit('account_import', 100)).toBe(false);
    expect(hit(CALL, 100)).toBe(true);
    expect(hit(CALL, 200)).toBe(false);
    expect(hit(CALL, 199)).toBe(true);
    expect(hit(CALL, 199)).toBe(false);
  });

  test('a rule that names accounts hits a call with one of them', () => {
    const selector = selectorOf({ match: { userIdPattern: '^bad' }, action: { errorCode: 70402 } });
    expect(selector.select(CALL, items('a', 'b'), SINCE_MS).callFault).toBeUndefined();
    expect(selector.select(CALL, items('a', 'bad1'), SINCE_MS).callFault).toMatchObject({
      kind: 'error',
      code: 70402,
    });
    expect(selector.select(CALL, items(`bad${'x'.repeat(300)}`), SINCE_MS).callFault).toBeUndefined();
  });

  test('the first rule that hits decides, and counts no use of a later one', () => {
    const selector = selectorOf(
      { match: { times: 1 }, action: { httpStatus: 502 } },
      { match: { times: 1 }, action: { hangMs: 5 } },
    );
    const kinds = [1, 2, 3].map(() => selector.select(CALL, items('a'), SINCE_MS).callFault?.kind);
    expect(kinds).toEqual(['http', 'hang', undefined]);
  });

  test('rules decide each account by itself, and latency separately', () => {
    const selector = selectorOf(
      { match: { userIds: ['a'] }, action: { accountCode: 70399 } },
      { match: { userIds: ['a', 'b'] }, action: { failAccounts: true, singleCode: 70500 } },
      { match: { command: CALL }, action: { latencyMs: [5, 6] } },
      { action: { strangers: ['nobody'] } },
    );
    const plan = selector.select(CALL, items('a', 'b', 'c'), SINCE_MS);
    expect(Object.fromEntries(plan.accountFaults ?? [])).toMatchObject({
      a: { kind: 'refused', code: 70399 },
      b: { kind: 'listed', code: 70500 },
    });
    expect(plan.accountFaults?.size).toBe(2);
    expect(plan).toMatchObject({ callFault: undefined, latencyMs: [5, 6], strangers: ['nobody'] });
  });

  test('an account passes after timesPerAccount hits', () => {
    const selector = selectorOf({ match: { timesPerAccount: 2 }, action: { failAccounts: true } });
    const failed = (...ids: string[]) => [
      ...(selector.select(CALL, items(...ids), SINCE_MS).accountFaults ?? []).keys(),
    ];
    expect(failed('a', 'b')).toEqual(['a', 'b']);
    expect(failed('a')).toEqual(['a']);
    expect(failed('a', 'b')).toEqual(['b']);
    expect(failed('a', 'b')).toEqual([]);
  });

  test('a sticky rule hits the same accounts in any order, as stickyFraction predicts', () => {
    const rule = { name: 'r', match: { ratePerAccount: 0.1, sticky: true }, action: { failAccounts: true } };
    const predicted = manyIds.filter((id) => stickyFraction(SEED, 'r', id) < 0.1);
    const selector = selectorOf(rule);
    for (const order of [manyIds, manyIds.toReversed()]) {
      const hit = [...(selector.select(CALL, items(...order), SINCE_MS).accountFaults ?? []).keys()];
      expect(hit.toSorted()).toEqual(predicted.toSorted());
    }
    expect(predicted.length).toBeGreaterThan(140);
    expect(predicted.length).toBeLessThan(260);
  });

  test('random hits match the rate and repeat with the seed', () => {
    const draw = (match: object) => {
      const selector = selectorOf({ match, action: { accountCode: 40006 } });
      return manyIds.map((id) => selector.select(CALL, items(id), SINCE_MS).accountFaults !== undefined);
    };
    for (const match of [{ rate: 0.25 }, { ratePerAccount: 0.25 }]) {
      const hits = draw(match);
      expect(draw(match)).toEqual(hits);
      const share = hits.filter(Boolean).length / hits.length;
      expect(share).toBeGreaterThan(0.2);
      expect(share).toBeLessThan(0.3);
    }
  });
});
