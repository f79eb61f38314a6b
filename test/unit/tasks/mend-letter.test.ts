import { type AppRedis, keysOf } from '../../../src/redis/keys.ts';
import { mendLetter } from '../../../src/tasks/mend-letter.ts';

/** A Redis with one letter. It takes an event and then breaks, so that the letter stays. */
function oneLetter() {
  const sent: string[] = [];
  const letter = { eventId: '1-0', userId: 'x y', reason: 'invalid', attempts: [], event: { userId: 'x y' } };
  const redis = {
    pipeline: () => ({ exec: async () => [[null, { letter: JSON.stringify(letter), state: 'dead' }]] }),
    xadd: async (...args: string[]) => {
      sent.push(...args.slice(2));
      throw new Error('broken');
    },
  };
  return { app: { redis, keys: keysOf(1400000000) } as unknown as AppRedis, sent };
}

it.each([
  ['None', ['userId', 'None', 'allowOddId', '1']],
  ['alice', ['userId', 'alice']],
])(
  'a letter that is sent as %s carries a mark where the sender allows what workers may not',
  async (userId, fields) => {
    const { app, sent } = oneLetter();
    const rules = { adminId: 'administrator', allowOddIds: ['None'] };
    await expect(mendLetter(app, rules, '1-0', { userId })).rejects.toThrow('broken');
    expect(sent).toEqual(fields);
  },
);
