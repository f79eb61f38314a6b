import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import { listDeadLetters } from '../../ledger/letters/letter-store.ts';
import { Refusal } from '../refusal.ts';
import { noteAct, personIn, type RouteContext } from './context.ts';
import { filterOf, type LetterQuery, letterQuery } from './schemas.ts';

const MINUTE_MS = 60_000;
/** Each is a line of Activity, which keeps 1,000: nobody may push out what others did. */
const MOST_A_MINUTE = 10;
/** One reads all letters. */
const MOST_AT_A_TIME = 2;

/** Letters as a file. Each export stands in Activity, one that was broken off with what had been sent. */
export function exportRoute(
  app: FastifyInstance,
  context: RouteContext,
  toShow: (letter: StoredLetter, showUsers: boolean) => object,
): void {
  const limit = createExportLimit();
  app.get<{ Querystring: LetterQuery }>(
    '/api/dead-letters/export',
    { config: { rights: 'view' }, schema: { querystring: letterQuery } },
    async (request, reply) => {
      const { name, showUsers } = personIn(request);
      reply.raw.once('close', limit.begin(name));
      const lines = async function* () {
        let count = 0;
        let isWhole = false;
        try {
          for await (const letter of listDeadLetters(context, filterOf(request.query))) {
            count++;
            yield `${JSON.stringify(toShow(letter, showUsers))}\n`;
          }
          isWhole = true;
        } finally {
          const how = [isWhole ? '' : ', broken off', showUsers ? '' : ', masked'].join('');
          await noteAct(context, request, 'export', `${count} letters exported${how}`);
        }
      };
      reply.header('content-type', 'application/x-ndjson; charset=utf-8');
      reply.header('content-disposition', 'attachment; filename="dead-letters.ndjson"');
      return reply.send(Readable.from(lines()));
    },
  );
}

/** Bounds the exports of each person in this process. */
function createExportLimit() {
  const begun = new Set<{ readonly name: string; readonly atMs: number; isOpen: boolean }>();
  return {
    /** Begins one; the answer ends it. Throws a Refusal. */
    begin(name: string): () => void {
      const nowMs = performance.now();
      for (const one of begun) if (!one.isOpen && nowMs - one.atMs > MINUTE_MS) begun.delete(one);
      const own = [...begun].filter((one) => one.name === name);
      if (own.length >= MOST_A_MINUTE || own.filter(({ isOpen }) => isOpen).length >= MOST_AT_A_TIME) {
        const message = `${name} exports ${MOST_AT_A_TIME} times at once, or ${MOST_A_MINUTE} times a minute, at most.`;
        throw new Refusal(429, 'too-many', message, 'Try again in a minute.', 60);
      }
      const one = { name, atMs: nowMs, isOpen: true };
      begun.add(one);
      return () => {
        one.isOpen = false;
      };
    },
  };
}
