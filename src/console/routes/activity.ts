import type { FastifyInstance } from 'fastify';
import { type Band, readBands } from '../../ops/history/bands.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import { listActivity } from '../../tasks/activity.ts';
import { importsAfter, type NotedImport } from '../../tasks/backfill/import-history.ts';
import type { RouteContext } from './context.ts';
import { pageFields } from './schemas.ts';

/** A line of Activity: what somebody did, or what happened to the fleet. */
interface ActivityLine {
  readonly at: number;
  readonly what: string;
  readonly by: string;
  readonly detail: string;
  readonly to: number | null;
  readonly values: Band['values'];
}

/** What operators did, imports that ended, and holds and throttles; the newest first. */
export function activityRoute(app: FastifyInstance, context: RouteContext): void {
  const { redis, keys } = context;
  const querystring = {
    type: 'object',
    additionalProperties: false,
    properties: { limit: pageFields.limit, before: { type: 'integer', minimum: 0, maximum: 8.64e15 } },
  };
  app.get<{ Querystring: { limit: number; before?: number } }>(
    '/api/activity',
    { config: { rights: 'view' }, schema: { querystring } },
    async ({ query: { limit, before } }) => {
      const [nowMs, acts, imports, bands] = await Promise.all([
        ownerTimeMs(redis, keys),
        // Lines of one ms stand on one page, so that `before` skips none.
        listActivity(redis, keys, limit + 1, before),
        importsAfter(redis, keys, '0'),
        readBands(context),
      ]);
      const lines = [
        ...acts.map((act): ActivityLine => ({ ...act, to: null, values: {} })),
        ...imports.map(importLine),
        // Who paused and who resumed stands among the acts.
        ...bands.filter(({ kind }) => kind !== 'pause').map(bandLine),
      ]
        .filter(({ at }) => before === undefined || at < before)
        .sort((a, b) => b.at - a.at);
      const lastAt = lines[limit - 1]?.at;
      const activity = lastAt === undefined ? lines : lines.filter(({ at }) => at >= lastAt);
      return { nowMs: Math.floor(nowMs), activity, next: activity.length < lines.length ? lastAt : null };
    },
  );
}

function importLine({ file, state, counts, endedAt }: NotedImport): ActivityLine {
  const name = file === '-' ? 'standard input' : file;
  const detail = `${name} ${state}: ${counts.rows} rows, ${counts.added} added`;
  return { at: endedAt, what: 'import', by: '', detail, to: null, values: {} };
}

function bandLine({ kind, from, to, values }: Band): ActivityLine {
  const detail =
    kind === 'hold'
      ? `${values.kind}: ${values.errorCode} ${values.errorInfo}`
      : `${values.command} down to ${Number(values.lowestRate).toFixed(1)} calls a second`;
  return { at: from, what: kind, by: '', detail, to, values };
}
