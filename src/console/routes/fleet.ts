import type { FastifyInstance } from 'fastify';
import { listOpenCalls, listSuspects } from '../../ledger/open-calls.ts';
import { createCachedRead, createCachedReads } from '../../lifecycle/wait.ts';
import { importedLastMinute, readHistory, SPANS, type Span } from '../../ops/history/read-history.ts';
import { readPresence, readWorkerSettings } from '../../ops/presence.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import { pauseFleet, resumeFleet } from '../../tasks/pause.ts';
import { maskCall, maskSuspect } from '../mask.ts';
import { malformed } from '../refusal.ts';
import { sentencesOf } from '../sentence.ts';
import { actorName, noteAct, personIn, type RouteContext } from './context.ts';
import { pageFields } from './schemas.ts';

const SUSPECTS_SHOWN = 10;
/** However many look, Redis is asked this often at most. */
const FRESH_MS = 1_000;
const HISTORY_FRESH_MS = 5_000;

/** How the fleet is, how it was, and its pause. */
export function fleetRoutes(app: FastifyInstance, context: RouteContext): void {
  const { redis, keys } = context;
  const view = { config: { rights: 'view' } } as const;

  const minute = createCachedRead(() => importedLastMinute(context), HISTORY_FRESH_MS);
  const suspects = createCachedRead(() => listSuspects(context, SUSPECTS_SHOWN), FRESH_MS);
  const clock = createCachedRead(() => ownerTimeMs(redis, keys), FRESH_MS);
  app.get('/api/status', view, async (request) => {
    const status = await context.status();
    const users = status.suspects.calls === 0 ? [] : await suspects();
    const { showUsers } = personIn(request);
    return {
      ...sentencesOf(status, await minute()),
      nowMs: Math.floor(await clock()),
      ...status,
      suspects: { ...status.suspects, users: showUsers ? users : users.map(maskSuspect) },
    };
  });

  const histories = createCachedReads((span) => readHistory(context, span as Span), HISTORY_FRESH_MS);
  const historyQuery = {
    type: 'object',
    required: ['span'],
    additionalProperties: false,
    properties: { span: { enum: Object.keys(SPANS) } },
  };
  app.get<{ Querystring: { span: Span } }>(
    '/api/history',
    { ...view, schema: { querystring: historyQuery } },
    ({ query }) => histories(query.span),
  );

  app.get('/api/workers', view, async () => {
    const nowMs = Math.floor(await ownerTimeMs(redis, keys));
    const workers = await readPresence(redis, keys, nowMs);
    const newestFirst = (a: string, b: string): number => b.localeCompare(a, 'en', { numeric: true });
    return {
      nowMs,
      workers: workers.sort((a, b) => newestFirst(a.version, b.version) || a.id.localeCompare(b.id)),
    };
  });

  const openCalls = createCachedReads((page) => {
    const [from = 0, limit = 0] = page.split(' ').map(Number);
    return listOpenCalls(context, from, limit);
  }, FRESH_MS);
  const callsQuery = { type: 'object', additionalProperties: false, properties: pageFields };
  app.get<{ Querystring: { limit: number; cursor?: string } }>(
    '/api/calls',
    { ...view, schema: { querystring: callsQuery } },
    async (request) => {
      const { limit, cursor = '0' } = request.query;
      if (!/^\d{1,9}$/.test(cursor)) throw malformed('The cursor is none of this list.');
      const from = Number(cursor);
      const { nowMs, total, calls } = await openCalls(`${from} ${limit}`);
      const shown = personIn(request).showUsers ? calls : calls.map(maskCall);
      return { nowMs, total, calls: shown, next: from + limit < total ? String(from + limit) : null };
    },
  );

  settingsRoute(app, context);
  pauseRoutes(app, context);
}

/** Settings of this process, and the workers whose settings differ. */
function settingsRoute(app: FastifyInstance, context: RouteContext): void {
  const { redis, keys, settings } = context;
  app.get('/api/settings', { config: { rights: 'view' } }, async () => {
    const told = await readWorkerSettings(context);
    const present = await readPresence(redis, keys, Math.floor(await ownerTimeMs(redis, keys)));
    const known = present.flatMap(({ id }) => {
      const own = told.get(id);
      return own === undefined ? [] : [{ worker: id, own }];
    });
    return {
      settings: settings.map((setting) => ({
        ...setting,
        disagreeing: known.flatMap(({ worker, own }) => {
          const value = own[setting.path];
          return value === undefined || value === setting.value ? [] : [{ worker, value }];
        }),
      })),
      workers: present.map(({ id }) => ({ id, known: told.has(id) })),
    };
  });
}

const reasonOf = (minLength: number) => ({
  type: 'string',
  minLength,
  maxLength: 200,
  pattern: '^[^\\u0000-\\u001f]*$',
});

function pauseRoutes(app: FastifyInstance, context: RouteContext): void {
  const body = (required: boolean) => ({
    type: 'object',
    additionalProperties: false,
    required: required ? ['reason'] : [],
    properties: { reason: reasonOf(required ? 1 : 0) },
  });
  app.post<{ Body: { reason: string } }>(
    '/api/pause',
    { config: { rights: 'act' }, schema: { body: body(true) } },
    async (request) => {
      const { reason } = request.body;
      const { changed, pause } = await pauseFleet(context, reason, actorName(personIn(request)));
      if (changed) await noteAct(context, request, 'pause', reason);
      return { changed, pause };
    },
  );
  app.post<{ Body: { reason?: string } }>(
    '/api/resume',
    { config: { rights: 'act' }, schema: { body: body(false) } },
    async (request) => {
      const { changed, pause } = await resumeFleet(context);
      if (changed) await noteAct(context, request, 'resume', request.body.reason ?? '');
      return { changed, pause };
    },
  );
}
