import type { FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import type { MaskedSetting } from '../../config/mask.ts';
import type { UserInput } from '../../event/fields.ts';
import { oneLine } from '../../im/redact.ts';
import type { Logger } from '../../logging/log.ts';
import type { Status } from '../../ops/status.ts';
import type { AppRedis } from '../../redis/keys.ts';
import { type Activity, recordActivity } from '../../tasks/activity.ts';
import type { UserReport } from '../../tasks/find-user.ts';
import type { Person } from '../access/person.ts';

/** What the routes work with. `redis` fails at once while Redis is away. */
export interface RouteContext extends AppRedis {
  readonly config: Config;
  readonly version: string;
  readonly settings: readonly MaskedSetting[];
  readonly status: () => Promise<Status>;
  readonly findUser: (userId: string) => Promise<UserReport>;
  readonly addUser: (user: UserInput) => Promise<string>;
  readonly log: Logger;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may ask: everybody, those who may look, or those who may act. Default of a path below api/: act. */
    rights?: 'none' | 'view' | 'act';
  }
  interface FastifyRequest {
    /** Null only where the route has the rights `none`. */
    person: Person | null;
  }
}

/** Who asks. Every route but those with the rights `none` has somebody. */
export function personIn({ person }: FastifyRequest): Person {
  if (person === null) throw new TypeError('the route was not guarded: a bug');
  return person;
}

/** As an act is written to the history: `ann (console)`. */
export function actorName({ name }: Person): string {
  return `${name} (console)`;
}

/** Writes an act to the history. It is done either way: what cannot be written is logged. */
export async function noteAct(
  { redis, keys, log }: RouteContext,
  request: FastifyRequest,
  what: Activity['what'],
  told: string,
): Promise<void> {
  const by = actorName(personIn(request));
  const detail = oneLine(told);
  await recordActivity(redis, keys, { what, by, detail }).catch(({ message }: Error) => {
    log.error({ what, by, reason: message }, 'an act of the console was done, but could not be recorded');
  });
  log.info({ what, by, detail }, 'an act of the console');
}
