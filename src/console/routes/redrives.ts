import type { FastifyInstance } from 'fastify';
import { listRuns, type RedriveRun, requestStop } from '../../ledger/letters/redrive-history.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import type { RedriveReport } from '../../tasks/redrive.ts';
import type { RunRequest } from '../../tasks/redrive-letters.ts';
import type { RedriveRunner } from '../redrive-runner.ts';
import { malformed, notFound, Refusal } from '../refusal.ts';
import { actorName, noteAct, personIn, type RouteContext } from './context.ts';
import { eventIds, filterOf, type LetterQuery, letterFilter, runIdParams, trueOrFalse } from './schemas.ts';

/** Letters that a dry run looks at. It takes some seconds for them. */
const MOST_PLANNED = 10_000;

interface RedriveBody {
  readonly filter?: LetterQuery;
  readonly eventIds?: readonly string[];
  readonly all?: true;
  readonly resume?: string;
  readonly dryRun?: boolean;
  readonly rate?: number;
  readonly stopAtFailures?: number;
  readonly force?: boolean;
}

const body = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ...{ filter: letterFilter, eventIds, all: { const: true } },
    resume: { type: 'string', pattern: '^r\\d{1,15}$' },
    dryRun: trueOrFalse,
    rate: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    stopAtFailures: { type: 'number', minimum: 0, maximum: 1 },
    force: trueOrFalse,
  },
};

/** Redrives: a dry run, a start, how far they have come, a stop. */
export function redriveRoutes(app: FastifyInstance, context: RouteContext, runner: RedriveRunner): void {
  const { redis, keys } = context;
  const view = { config: { rights: 'view' } } as const;
  const act = { config: { rights: 'act' } } as const;

  app.post<{ Body: RedriveBody }>(
    '/api/dead-letters/redrive',
    { ...act, schema: { body } },
    async (request, reply) => {
      const asked = requestOf(request.body);
      const { dryRun = false, stopAtFailures = 0.5 } = request.body;
      const by = actorName(personIn(request));
      if (dryRun) {
        const { limit = MOST_PLANNED + 1 } = asked.filter;
        const bounded = { ...asked, filter: { ...asked.filter, limit: Math.min(limit, MOST_PLANNED + 1) } };
        const { letters, users, calls, left } = await runner.plan({ request: bounded, by, stopAtFailures });
        const looked = letters + Object.values(left).reduce((sum, count) => sum + count, 0);
        return { dryRun, complete: looked <= MOST_PLANNED, letters, users, calls, left };
      }
      const run = await runner.start({
        request: asked,
        by,
        stopAtFailures,
        onEnded: (begun, report) => noteAct(context, request, 'redrive', endText(begun, report)),
      });
      return reply.code(202).send(runToShow(run));
    },
  );

  app.get('/api/redrives', view, async () => {
    const nowMs = Math.floor(await ownerTimeMs(redis, keys));
    return { nowMs, redrives: (await listRuns(context)).map(runToShow) };
  });

  const runOf = async (id: string): Promise<RedriveRun> => {
    const run = (await listRuns(context)).find((known) => known.id === id);
    if (run === undefined) throw notFound(`redrive ${id}`);
    return run;
  };
  app.get<{ Params: { id: string } }>(
    '/api/redrives/:id',
    { ...view, schema: { params: runIdParams } },
    async ({ params }) => runToShow(await runOf(params.id)),
  );
  app.post<{ Params: { id: string } }>(
    '/api/redrives/:id/stop',
    { ...act, schema: { params: runIdParams } },
    async (request, reply) => {
      const run = await runOf(request.params.id);
      if (run.state !== 'running') {
        const message = `Redrive ${run.id} has ended: ${run.state}.`;
        throw new Refusal(409, 'not-running', message, 'There is nothing to stop.');
      }
      await requestStop(context, run.id, actorName(personIn(request)));
      return reply.code(202).send(runToShow(run));
    },
  );
}

/** Letters named one by one are not stored, so such a run cannot go on. */
function runToShow(run: RedriveRun) {
  const { state, filter } = run;
  const hasEnded = state === 'interrupted' || state === 'stopped';
  const isNamed = filter.user === true || filter.eventIds !== undefined || filter.file === true;
  return { ...run, resumable: hasEnded && !isNamed };
}

/** The body as one request. Throws a Refusal when it does not say which letters are meant. */
function requestOf({
  filter,
  eventIds: named = [],
  all,
  resume,
  rate,
  force = false,
}: RedriveBody): RunRequest {
  const ways = [filter, all, resume, ...(named.length > 0 ? [named] : [])].filter((way) => way !== undefined);
  if (ways.length !== 1) {
    throw malformed('Give one of filter, eventIds, all and resume, so that it is certain what is meant.');
  }
  return {
    filter: filterOf({ ...filter, state: 'dead' }),
    eventIds: named,
    force,
    ...(rate !== undefined && { rate }),
    ...(resume !== undefined && { resume }),
  };
}

function endText({ id }: RedriveRun, { letters, givenUp }: RedriveReport): string {
  const end = givenUp === null ? 'done' : `ended early (${givenUp})`;
  return `${id} ${end}: ${letters === 1 ? '1 letter' : `${letters} letters`} redriven`;
}
