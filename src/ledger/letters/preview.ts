import type { AppRedis } from '../../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../../redis/script.ts';
import type { DeathSpan, LetterFilter } from './dead-letters.ts';
import { pagesOfIds } from './letter-store.ts';

const previewScript = loadScript(import.meta.url, 'preview.lua');

/** Letters that one step looks at: some milliseconds of Redis. */
const LETTERS_AT_A_STEP = 300;

/** What a redrive would do with some letters. Users with one letter are counted; `noUser` counts letters. */
export interface Preview {
  readonly redriven: number;
  readonly busy: number;
  readonly early: number;
  readonly invalid: number;
  readonly noUser: number;
  /** Users with several letters, which are decided together. A user comes once for each letter. */
  readonly several: readonly string[];
}

/**
 * Looks at the dead letters that match the filter, and leaves their texts in Redis: to read these is most of what a
 * listing costs. The filter has no limit, since letters that do not match count for nothing.
 */
export async function* previewLetters(
  app: AppRedis,
  filter: Omit<LetterFilter, 'state' | 'limit'>,
  span: DeathSpan,
  early: boolean,
): AsyncGenerator<Preview> {
  const { errorCode, reason, userId } = filter;
  const wanted = { ...span, early, errorCode, reason, userId };
  const look = (eventIds: readonly string[]): Promise<unknown> =>
    askScript(app.redis, previewScript, app.keys, { eventIds, ...wanted });
  let ahead: Promise<unknown> | undefined;
  for await (const eventIds of pagesOfIds(app, { ...filter, state: 'dead' }, span, LETTERS_AT_A_STEP)) {
    const looking = look(eventIds);
    // Met when its turn comes.
    looking.catch(() => undefined);
    if (ahead !== undefined) yield fieldsOf<Preview & Readonly<Record<string, unknown>>>(await ahead);
    ahead = looking;
  }
  if (ahead !== undefined) yield fieldsOf<Preview & Readonly<Record<string, unknown>>>(await ahead);
}
