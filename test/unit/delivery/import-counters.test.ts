import { talliesOf, tallyOf } from '../../../src/delivery/policy/import-counters.ts';

test('counts by tally and outcome, dead letters by reason as well; who asked for none is left out', () => {
  expect(
    talliesOf([
      { tally: 'a', outcome: 'imported' },
      { tally: undefined, outcome: 'imported' },
      { tally: 'a', outcome: 'imported' },
      { tally: 'b', outcome: 'superseded' },
      { tally: 'a', outcome: 'dead-lettered', reason: 'expired' },
    ]),
  ).toEqual([
    { tally: 'a', name: 'imported', count: 2 },
    { tally: 'b', name: 'superseded', count: 1 },
    { tally: 'a', name: 'dead-lettered', count: 1 },
    { tally: 'a', name: 'dead:expired', count: 1 },
  ]);
  expect(talliesOf([])).toEqual([]);
});

test('an entry that does not hold up has its tally all the same, if that is a name', () => {
  const tally = (...fields: string[]) => tallyOf({ eventId: '1-0', fields });
  expect(tally('nick', 'x', 'tally', 'import-1')).toBe('import-1');
  expect(tally('tally', 'one', 'tally', 'two')).toBe('two');
  expect([tally('nick', 'tally'), tally('tally', 'a b'), tally('tally', ''), tally('tally')]).toEqual(
    Array(4).fill(undefined),
  );
});
