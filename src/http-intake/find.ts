import { within } from '../lifecycle/within.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import type { AccountChecks, Presence } from '../tasks/checks/account-checks.ts';
import { findUser, type UserReport } from '../tasks/find-user.ts';
import { busy, redisAway } from './import-request.ts';

/** Answers where a user is, for GET /v1/users/{id}. */
export interface UserLookup {
  /** Throws RefusedRequest: too many ask at once, or Redis does not answer. */
  find(userId: string): Promise<UserReport>;
  /** From now on the API can be asked. */
  askThrough(checks: Pick<AccountChecks, 'ask'>): void;
}

/** A look reads up to 20,000 waiting events. */
const MOST_FINDS = 16;
/** Questions to the API under way; they share the quota of account_check with others. */
const MOST_ASKS = 20;
const ASK_MS = 3_000;

export function createUserLookup(options: {
  /** One that fails at once while Redis is away. */
  readonly redis: RedisClient;
  readonly keys: Keys;
  /** Why the API cannot be asked, until it can. */
  readonly whyNot: string;
}): UserLookup {
  const { redis, keys } = options;
  let checks: Pick<AccountChecks, 'ask'> | undefined;
  let finds = 0;
  let asks = 0;

  const askThrough = async (userId: string, api: Pick<AccountChecks, 'ask'>): Promise<Presence> => {
    if (asks >= MOST_ASKS) throw new Error('too many questions are under way; ask again in a second');
    asks++;
    const asked = api.ask([userId]).finally(() => {
      asks--;
    });
    const presence = (await within(asked, ASK_MS, `it did not answer within ${ASK_MS / 1000} s`)).get(userId);
    if (presence === undefined) throw new Error('its answer did not speak of this account');
    return presence;
  };

  return {
    async find(userId) {
      if (finds >= MOST_FINDS) throw busy('As many users are looked for as can be at once.');
      finds++;
      const api = checks;
      try {
        return await findUser({
          ...{ redis, keys, userId },
          ...(api === undefined ? { whyNot: options.whyNot } : { askApi: (id) => askThrough(id, api) }),
        });
      } catch {
        throw redisAway();
      } finally {
        finds--;
      }
    },
    askThrough(api) {
      checks = api;
    },
  };
}
