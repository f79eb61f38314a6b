import type { FastifyInstance } from 'fastify';
import type { Config } from '../../config/config.ts';
import { codeMeaning } from '../../im/verdicts.ts';
import {
  LETTER_ADVICE,
  type LetterFilter,
  type LetterState,
  letterStates,
  type StoredLetter,
} from '../../ledger/letters/dead-letters.ts';
import { isCursorOf, type LetterCursor, pageOfLetters } from '../../ledger/letters/letter-pages.ts';
import { readLetters, summarizeLetters } from '../../ledger/letters/letter-store.ts';
import { createCachedRead } from '../../lifecycle/wait.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import { deleteMeant, deletePart, deletionText } from '../../tasks/delete-letters.ts';
import { maskLetter } from '../mask.ts';
import { malformed, notFound } from '../refusal.ts';
import { noteAct, personIn, type RouteContext } from './context.ts';
import { exportRoute } from './export-letters.ts';
import {
  eventIdParams,
  eventIds,
  filterOf,
  type LetterQuery,
  letterFilter,
  letterQuery,
  pageFields,
} from './schemas.ts';

/** However many look, the indexes are counted this often at most. */
const GROUPS_FRESH_MS = 1_000;
/** Letters that one request deletes at most. */
const MOST_DELETED = 5_000;

/** Dead letters: groups, pages, one of them; export and deletion. */
export function letterRoutes(app: FastifyInstance, context: RouteContext): void {
  const { redis, keys, config } = context;
  const view = { config: { rights: 'view' } } as const;
  const toShow = (letter: StoredLetter, showUsers: boolean) => letterToShow(context, letter, showUsers);

  const summary = createCachedRead(
    async () => ({ nowMs: Math.floor(await ownerTimeMs(redis, keys)), ...(await summarizeLetters(context)) }),
    GROUPS_FRESH_MS,
  );
  app.get('/api/dead-letters/groups', view, async (request) => {
    const { showUsers } = personIn(request);
    const { groups, ...counts } = await summary();
    return {
      ...counts,
      groups: groups.map(({ newest, ...group }) => {
        const letter = newest && toShow(newest, showUsers);
        return {
          ...group,
          errorInfo: letter?.errorInfo ?? '',
          newestDeadSince: letter?.deadSince ?? null,
          advice: LETTER_ADVICE[group.reason],
          meaning: letter?.meaning ?? '',
          codePage: codePageOf(config, group.errorCode),
        };
      }),
    };
  });

  const querystring = { ...letterQuery, properties: { ...letterQuery.properties, ...pageFields } };
  app.get<{ Querystring: LetterQuery & { limit: number; cursor?: string } }>(
    '/api/dead-letters',
    { ...view, schema: { querystring } },
    async (request) => {
      const { limit, cursor, ...query } = request.query;
      const nowMs = Math.floor(await ownerTimeMs(redis, keys));
      const filter = filterOf(query);
      const from = cursor === undefined ? null : readCursor(cursor, filter);
      const { letters, next } = await pageOfLetters(context, filter, limit, from);
      const { showUsers } = personIn(request);
      const shown = letters.map((letter) => toShow(letter, showUsers));
      return { nowMs, letters: shown, next: next === null ? null : cursorText(next) };
    },
  );

  app.get<{ Params: { eventId: string } }>(
    '/api/dead-letters/:eventId',
    { ...view, schema: { params: eventIdParams } },
    async (request) => {
      const { eventId } = request.params;
      const [letter] = await readLetters(context, [eventId]);
      if (letter === undefined) throw notFound(`letter for event ${eventId}`);
      return toShow(letter, personIn(request).showUsers);
    },
  );

  exportRoute(app, context, toShow);
  deleteRoute(app, context);
}

/** A letter with what helps to understand it, masked for those who may not see users. */
export function letterToShow({ config }: RouteContext, letter: StoredLetter, showUsers: boolean) {
  const { reason, command, errorCode } = letter;
  return {
    ...(showUsers ? letter : maskLetter(letter)),
    advice: LETTER_ADVICE[reason],
    meaning: codeMeaning(command || 'multiaccount_import', errorCode),
    codePage: codePageOf(config, errorCode),
  };
}

interface DeleteBody {
  readonly filter?: LetterQuery;
  readonly state?: Exclude<LetterState, 'redriving'> | 'all';
  readonly eventIds?: readonly string[];
  readonly all?: true;
  readonly cursor?: string;
}

function deleteRoute(app: FastifyInstance, context: RouteContext): void {
  const body = {
    type: 'object',
    additionalProperties: false,
    properties: {
      filter: letterFilter,
      state: { enum: ['dead', 'resolved', 'all'] },
      eventIds,
      all: { const: true },
      cursor: pageFields.cursor,
    },
  };
  app.post<{ Body: DeleteBody }>(
    '/api/dead-letters/delete',
    { config: { rights: 'act' }, schema: { body } },
    async (request) => {
      const { filter, state = 'dead', eventIds: named, all, cursor } = request.body;
      const ways = [filter, named, all].filter((way) => way !== undefined).length;
      if (ways !== 1)
        throw malformed('Give one of filter, eventIds and all, so that it is certain what is meant.');
      const { limit = MOST_DELETED, ...fields } = filter ?? {};
      const meant = filterOf({ ...fields, state });
      const { counts, next } =
        named === undefined
          ? await deletePart(
              context,
              meant,
              Math.min(limit, MOST_DELETED),
              cursor === undefined ? null : readCursor(cursor, meant),
            )
          : { counts: await deleteMeant(context, { eventIds: named }), next: null };
      if (counts.deleted > 0) await noteAct(context, request, 'delete', deletionText(counts));
      return { ...counts, next: next === null ? null : cursorText(next) };
    },
  );
}

/** A cursor as text for an address. It says nothing that its page did not. */
function cursorText({ state, member, score, asOfMs }: LetterCursor): string {
  // A member of an index by user begins with the user's ID, which the asker named.
  return Buffer.from(JSON.stringify([state, member, score, asOfMs])).toString('base64url');
}

function readCursor(text: string, filter: LetterFilter): LetterCursor {
  try {
    const [state, member, score, asOfMs] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    const isCursor =
      letterStates.includes(state) &&
      typeof member === 'string' &&
      typeof score === 'string' &&
      Number.isSafeInteger(asOfMs) &&
      isCursorOf({ state, member, score, asOfMs }, filter);
    if (isCursor) return { state, member, score, asOfMs };
  } catch {
    // It is refused below.
  }
  throw malformed('The cursor is none of this list.');
}

/** The provider's own list of error codes, by where the app's console is. */
const PAGES = {
  china: 'https://cloud.tencent.com/document/product/269/1671',
  elsewhere: 'https://www.tencentcloud.com/document/product/1047/34348',
};

/** The address of the page that explains a code; null without a code. */
function codePageOf({ api }: Config, errorCode: number): string | null {
  if (errorCode === 0) return null;
  return api.region === 'china' ? PAGES.china : PAGES.elsewhere;
}
