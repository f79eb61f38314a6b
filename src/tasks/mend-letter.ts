import type { EventRules } from '../event/event.ts';
import { parseEntry } from '../event/fields.ts';
import { oddId } from '../event/odd-values.ts';
import { deleteLetters } from '../ledger/letters/letter-store.ts';
import type { AppRedis } from '../redis/keys.ts';
import { deadOnes, RunRefusedError } from './redrive-letters.ts';

/**
 * Sends the event of a letter again, with another user ID, and deletes the letter: it is the letter of a user
 * who does not exist. The event comes first, so that a crash between both leaves a letter too many and loses
 * nothing. Resolves to the ID of the new event. Throws RunRefusedError.
 *
 * `password`: hosted mode, since letters hold none.
 */
export async function mendLetter(
  app: AppRedis,
  rules: EventRules,
  letterId: string,
  mended: { readonly userId: string; readonly password?: string | undefined },
): Promise<string> {
  const { redis, keys } = app;
  for await (const letter of await deadOnes(app, [letterId])) {
    if (letter.partial === true)
      throw new RunRefusedError(
        `The letter of event ${letterId} holds less than what was sent: push the user again.`,
      );
    // The import that the event belonged to has counted its end.
    const { tally: _tally, ...event } = letter.event;
    const { password } = mended;
    const fields = Object.entries({
      ...event,
      userId: mended.userId,
      ...(password !== undefined && { password }),
    }).flat();
    const parsed = parseEntry({ eventId: letterId, fields }, rules);
    if (!parsed.ok) throw new RunRefusedError(`${parsed.problems.join('; ')}. Nothing was sent.`, true);
    // It is allowed here. Workers judge it again, by settings of their own.
    if (oddId(mended.userId)?.isCertain) fields.push('allowOddId', '1');
    const eventId = String(await redis.xadd(keys.stream, '*', ...fields));
    await deleteLetters(app, [letter]);
    return eventId;
  }
  throw new RunRefusedError(`There is no letter for event ${letterId}. Nothing was sent.`);
}
