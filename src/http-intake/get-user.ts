import { within } from '../lifecycle/wait.ts';
import type { AppRedis } from '../redis/keys.ts';
import type { AccountChecks, Presence } from '../tasks/check-users.ts';
import { findUser, type UserReport } from '../tasks/find-user.ts';
import { busy, redisAway } from './refused-request.ts';

/** Lookups at once. One reads up to 20,000 waiting events. */
const MAX_LOOKUPS = 16;
const ANSWER_WITHIN_MS = 3_000;

/** Answers GET /v1/users/{id}: where a user is. `redis` fails at once while Redis is away. */
export function createUserLookup(
  options: AppRedis & {
    /** Why the API cannot be asked, until `askThrough` is called. */
    readonly whyNot: string;
  },
) {
  const { redis, keys, whyNot } = options;
  let api: Pick<AccountChecks, 'ask'> | undefined;
  let lookups = 0;

  const askApi = async (userId: string): Promise<Presence> => {
    if (api === undefined) throw new Error(whyNot);
    const late = `it did not answer within ${ANSWER_WITHIN_MS / 1000} s`;
    const presence = (await within(api.ask([userId]), ANSWER_WITHIN_MS, late)).get(userId);
    if (presence === undefined) throw new Error('its answer did not speak of this account');
    return presence;
  };

  return {
    /** Throws RefusedRequest when too many look at once, or when Redis does not answer. */
    async find(userId: string): Promise<UserReport> {
      if (lookups >= MAX_LOOKUPS) throw busy('As many users are looked for as can be at once.');
      lookups++;
      try {
        return await findUser({ redis, keys, userId, askApi });
      } catch {
        throw redisAway();
      } finally {
        lookups--;
      }
    },
    /** From now on the API is asked as well. */
    askThrough(checks: Pick<AccountChecks, 'ask'>): void {
      api = checks;
    },
  };
}
