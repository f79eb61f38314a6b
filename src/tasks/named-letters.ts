import { deathSpan, isMeant, type LetterFilter, type StoredLetter } from '../ledger/letters/dead-letters.ts';
import { listDeadLetters, readLetters } from '../ledger/letters/letter-store.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';

const AT_A_TIME = 100;

/**
 * Reads the dead letters that a list names, by event ID or user ID, and that match the filter. A user ID
 * gives one letter, since all letters of a user are redriven together. Calls `onNone` for each name without
 * such a letter.
 */
export async function* namedLetters(
  redis: RedisClient,
  keys: Keys,
  names: AsyncIterable<string>,
  filter: LetterFilter & { readonly asOfMs: number },
  onNone: () => void,
): AsyncGenerator<StoredLetter> {
  const span = deathSpan(filter, filter.asOfMs);
  async function* byEventId(eventIds: readonly string[]): AsyncGenerator<StoredLetter> {
    const letters = (await readLetters(redis, keys, eventIds)).filter((letter) =>
      isMeant(letter, filter, span),
    );
    for (let missing = eventIds.length - letters.length; missing > 0; missing--) onNone();
    yield* letters;
  }
  let eventIds: string[] = [];
  for await (const name of names) {
    if (isEventId(name)) {
      eventIds.push(name);
      if (eventIds.length < AT_A_TIME) continue;
      yield* byEventId(eventIds);
      eventIds = [];
      continue;
    }
    let found = false;
    for await (const letter of listDeadLetters(redis, keys, { ...filter, userId: name, limit: 1 })) {
      found = true;
      yield letter;
    }
    if (!found) onNone();
  }
  if (eventIds.length > 0) yield* byEventId(eventIds);
}

export function isEventId(text: string): boolean {
  return /^\d{1,20}-\d{1,20}$/.test(text);
}

/**
 * The name in a line of a list; undefined for an empty line. A line of `dlq list --json` or of an export
 * gives its event ID.
 */
export function nameIn(line: string): string | undefined {
  const text = line.replace(/^\uFEFF/, '').trim();
  if (text === '') return undefined;
  if (!text.startsWith('{')) return text;
  try {
    const { eventId } = JSON.parse(text) as { eventId?: unknown };
    return typeof eventId === 'string' ? eventId : text;
  } catch {
    return text;
  }
}
