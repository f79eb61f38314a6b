import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { UserInput } from '../../event/fields.ts';
import { InvalidUserError } from '../../event/invalid-user.ts';
import { NotAcceptedError } from '../../producer/producer.ts';
import type { AppRedis } from '../../redis/keys.ts';
import { fieldsOf } from '../../redis/script.ts';
import { forgetUser, forgottenText } from '../../tasks/forget-user.ts';
import { maskUser } from '../mask.ts';
import { Refusal } from '../refusal.ts';
import { noteAct, personIn, type RouteContext } from './context.ts';
import { letterToShow } from './letters.ts';
import { trueOrFalse, userIdParams } from './schemas.ts';

/** Entries of the stream of outcomes that are looked at. */
const OUTCOMES_LOOKED = 10_000;
const PAGE = 1_000;
/** For so long a call on the wire is waited for. */
const FORGET_WAIT_MS = 10_000;
/** Requests that read the whole stream, at a time. */
const MOST_FORGETTING = 2;
/** Lookups at a time. One reads up to 20,000 waiting events and 10,000 outcomes. */
const MOST_LOOKING = 16;

type Params = { Params: { userId: string } };

/** One user: where they are, import them, forget them. */
export function userRoutes(app: FastifyInstance, context: RouteContext): void {
  const params = userIdParams;
  const inTurn = atMost(MOST_LOOKING, 'As many users are looked for as can be at once.', 1);
  app.get<Params>('/api/users/:userId', { config: { rights: 'view' }, schema: { params } }, (request) =>
    inTurn(async () => {
      const { userId } = request.params;
      const { showUsers } = personIn(request);
      const found = await context.findUser(userId);
      const report = showUsers ? found : maskUser(found);
      return {
        ...report,
        letters: report.letters.map((letter) => letterToShow(context, letter, true)),
        outcomes: await outcomesOf(context, userId),
      };
    }),
  );

  const body = {
    type: 'object',
    additionalProperties: false,
    properties: {
      nick: { type: 'string', maxLength: 500 },
      faceUrl: { type: 'string', maxLength: 500 },
      type: { enum: [0, 1] },
    },
  };
  app.post<Params & { Body: Pick<UserInput, 'nick' | 'faceUrl' | 'type'> }>(
    '/api/users/:userId/import',
    { config: { rights: 'act' }, schema: { params, body } },
    async (request, reply) => {
      const eventId = await context
        .addUser({ userId: request.params.userId, ...request.body })
        .catch((error: unknown) => {
          throw refusalOf(error);
        });
      await noteAct(context, request, 'import', `a user: event ${eventId}`);
      return reply.code(202).send({ eventId });
    },
  );
  forgetRoute(app, context);
}

function refusalOf(error: unknown): unknown {
  if (error instanceof InvalidUserError) {
    const message = `${error.problems.join('. ')}.`;
    return new Refusal(422, 'invalid-user', message, 'Correct the user; nothing was added.');
  }
  if (error instanceof NotAcceptedError) {
    const advice =
      'Look whether Redis runs and has memory, then import the user again: a repeat does no harm.';
    return new Refusal(503, 'redis-away', error.message, advice, 2);
  }
  return error;
}

function forgetRoute(app: FastifyInstance, context: RouteContext): void {
  const inTurn = atMost(MOST_FORGETTING, 'As many users are being forgotten as can be at once.', 2);
  const body = { type: 'object', additionalProperties: false, properties: { dryRun: trueOrFalse } };
  app.post<Params & { Body: { dryRun?: boolean } }>(
    '/api/users/:userId/forget',
    { config: { rights: 'act' }, schema: { params: userIdParams, body } },
    (request) =>
      inTurn(async () => {
        const { redis, keys } = context;
        const { userId } = request.params;
        const { dryRun = false } = request.body;
        const report = await forgetUser({ redis, keys, userId, dryRun, maxWaitMs: FORGET_WAIT_MS, sleep });
        if (!dryRun) await noteAct(context, request, 'forget', forgottenText(report));
        return report;
      }),
  );
}

/** Does at most so many at a time; more are refused. */
function atMost(most: number, message: string, retryAfterSeconds: number) {
  let running = 0;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= most)
      throw new Refusal(429, 'too-many', message, 'Try again in a moment.', retryAfterSeconds);
    running++;
    try {
      return await work();
    } finally {
      running--;
    }
  };
}

/** How the user's events ended of late, where outcomes are kept (IMSYNC_OUTCOMES=all). */
async function outcomesOf({ redis, keys }: AppRedis, userId: string) {
  const found: { at: number; eventId: string; outcome: string; errorCode: number }[] = [];
  for (let [looked, edge] = [0, '+']; looked < OUTCOMES_LOOKED; looked += PAGE) {
    const entries = await redis.xrevrange(keys.outcomes, edge, '-', 'COUNT', PAGE);
    for (const [id, flat] of entries) {
      const { userId: named, eventId = '', outcome = '', errorCode = '0' } = fieldsOf(flat);
      if (named !== userId) continue;
      found.push({ at: Number.parseInt(id, 10), eventId, outcome, errorCode: Number(errorCode) });
    }
    if (entries.length < PAGE) break;
    edge = `(${entries.at(-1)?.[0]}`;
  }
  return found;
}
