import fc from 'fast-check';
import { claimedUser, entriesOf } from '../../src/ledger/record.ts';
import { callsOf, useStages } from './stage.ts';

const fresh = useStages();

const bytes = fc.uint8Array({ minLength: 0, maxLength: 40 }).map((array) => Buffer.from(array));
const printable = fc
  .array(fc.integer({ min: 0x20, max: 0x7f }), { minLength: 0, maxLength: 34 })
  .map((codes) => Buffer.from(codes));
const words = fc
  .constantFrom(
    '',
    'ann',
    'ann\n',
    '\nann',
    'ann ',
    '用户',
    '\ufeffann',
    'u'.repeat(32),
    'u'.repeat(33),
    '__proto__',
  )
  .map((word) => Buffer.from(word));
const name = fc.oneof(
  { weight: 4, arbitrary: fc.constant(Buffer.from('userId')) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('userid', 'userId\0', '\ufeffuserId', 'type').map((n) => Buffer.from(n)),
  },
  { weight: 1, arbitrary: bytes },
);
const value = fc.oneof(bytes, printable, words);
const entry = fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 4 });

/** What JavaScript sees of the bytes of an entry decides whose it is in the record; what Lua sees, who owns it. */
test('cut.lua and record.ts agree on whom an entry claims, whatever its bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 30 }), async (entries) => {
      const stage = fresh();
      await stage.add(...entries.map((pairs) => pairs.flat()));
      const claims: Record<string, string> = {};
      let events = 0;
      for (const { callId } of callsOf(await stage.cut())) {
        const record = await stage.take(callId, 'look');
        events += entriesOf(record).length;
        for (const { fields } of entriesOf(record)) {
          const user = claimedUser(fields);
          if (user !== '') Object.defineProperty(claims, user, { value: callId, enumerable: true });
        }
      }
      const parked = await stage.redis.hvals(stage.keys.parkedCounts);
      expect(events + parked.reduce((sum, n) => sum + Number(n), 0)).toBe(entries.length);
      const owners = await stage.redis.hgetall(stage.keys.owners);
      expect(Object.entries(owners).sort()).toEqual(Object.entries(claims).sort());
      expect(await stage.problems()).toEqual([]);
    }),
    { seed: 20250403, numRuns: 150 },
  );
}, 60_000);
