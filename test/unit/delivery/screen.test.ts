import fc from 'fast-check';
import { accountOf } from '../../../src/delivery/policy/pending-user.ts';
import { preflight } from '../../../src/delivery/policy/preflight.ts';
import { entryLists, entryOf, unitOf, unitsOf } from './entries.ts';

const long = ['nick'] as const;

it('lets go what the API can take', () => {
  const unit = unitOf(entryOf('a', 2), entryOf('a', 1, { nick: 'n' }, long));
  expect(preflight([unit], 'import-bare')).toEqual({ units: [unit], refused: [] });
});

it('a profile that is too long gives way to the next older event', () => {
  const unit = unitOf(entryOf('a', 2, { nick: 'n' }, long), entryOf('a', 1));
  for (const policy of ['import-bare', 'dead-letter'] as const) {
    const { units, refused } = preflight([unit], policy);
    expect(units.map((left) => left.candidates.map(({ eventId }) => eventId))).toEqual([['1-0']]);
    expect(refused).toMatchObject([
      { entry: { eventId: '2-0' }, reason: 'profile', verdict: { errorCode: 40601 } },
    ]);
  }
});

it('the last event goes without its profile, or ends here, as configured', () => {
  const unit = unitOf(entryOf('a', 1, { nick: 'n', faceUrl: 'f' }, long));
  const bare = preflight([unit], 'import-bare');
  expect(bare.refused).toEqual([]);
  expect(bare.units.map(accountOf)).toEqual([{ userId: 'a', type: 0 }]);
  expect(preflight([unit], 'dead-letter')).toMatchObject({ units: [], refused: [{ reason: 'profile' }] });
});

it('keeps every event in one place, and screens a second time without effect', () => {
  fc.assert(
    fc.property(
      entryLists,
      fc.constantFrom('import-bare' as const, 'dead-letter' as const),
      (entries, policy) => {
        const before = unitsOf(entries);
        const { units, refused } = preflight(before, policy);
        const after = [
          ...units.flatMap(({ candidates }) => candidates.map(({ eventId }) => eventId)),
          ...refused.map(({ entry }) => entry.eventId),
        ];
        expect(after.sort()).toEqual(entries.map(({ eventId }) => eventId).sort());
        for (const unit of units) {
          const { nick, faceUrl } = accountOf(unit);
          const [sent] = unit.candidates;
          if (nick !== undefined || faceUrl !== undefined) expect(sent?.tooLong).toEqual([]);
        }
        expect(preflight(units, policy)).toEqual({ units, refused: [] });
      },
    ),
  );
});
