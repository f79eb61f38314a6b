import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';

/** How the redriven users fared, as far as it is known. */
export interface RedriveResults {
  readonly imported: number;
  /** Dead once more. */
  readonly failed: number;
  /** Followed, and not known to have ended. */
  readonly open: number;
}

/** Looks after letters that were redriven, by one letter a user. */
export interface RedriveWatch {
  follow(eventId: string): void;
  /** Looks at some of those that are not done yet. Rejects when Redis does not answer. */
  look(): Promise<RedriveResults>;
  readonly results: RedriveResults;
}

/** Followed at a time: beyond that the share is told by those that are. */
const MAX_FOLLOWED = 10_000;
const AT_A_TIME = 500;

export function watchRedriven(redis: RedisClient, keys: Keys): RedriveWatch {
  const open = new Set<string>();
  let imported = 0;
  let failed = 0;
  return {
    follow(eventId) {
      if (open.size < MAX_FOLLOWED) open.add(eventId);
    },
    async look() {
      const some = [...open].slice(0, AT_A_TIME);
      const asked = some.map((eventId) => ['hget', keys.deadPrefix + eventId, 'state']);
      const replies = some.length === 0 ? [] : ((await redis.pipeline(asked).exec()) ?? []);
      for (const [i, eventId] of some.entries()) {
        const [error, state] = replies[i] ?? [];
        if (error) throw error;
        open.delete(eventId);
        // Those that are not done are looked at again after the others.
        if (state === 'redriving') open.add(eventId);
        else if (state === 'dead') failed++;
        else if (state === 'resolved') imported++;
      }
      return { imported, failed, open: open.size };
    },
    get results() {
      return { imported, failed, open: open.size };
    },
  };
}
