import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';

/**
 * How the events of one import ended, counted by settle in the same step that ends them: so the count is exact
 * whatever is killed meanwhile, costs a few counters and no memory per row, and an import that was interrupted and
 * resumed has one account. An event that is redriven later counts as it ended first.
 *
 * (Counting what is published to `replyTo` would lose whatever ends while nobody listens; comparing the ledger
 * afterwards cannot tell an imported event from a superseded one.)
 */
export interface Tally {
  /** Events that Redis took, those added twice after a kill included. */
  readonly accepted: number;
  readonly imported: number;
  readonly superseded: number;
  readonly deadLettered: number;
  readonly deadByReason: Readonly<Record<string, number>>;
}

/** Longer than anybody waits for an import; a tally that nobody asks for any more goes by itself. */
export const TALLY_LIFE_SECONDS = 30 * 86_400;

/** Before the first event of it is added: settle counts only what is asked for. */
export async function openTally(redis: RedisClient, keys: Keys, tally: string): Promise<void> {
  const key = keys.tallyPrefix + tally;
  await redis.multi().hincrby(key, 'accepted', 0).expire(key, TALLY_LIFE_SECONDS).exec();
}

export async function readTally(redis: RedisClient, keys: Keys, tally: string): Promise<Tally> {
  const counts = Object.entries(await redis.hgetall(keys.tallyPrefix + tally)).map(
    ([name, count]) => [name, Number(count)] as const,
  );
  const of = (name: string): number => counts.find(([counted]) => counted === name)?.[1] ?? 0;
  return {
    accepted: of('accepted'),
    imported: of('imported'),
    superseded: of('superseded'),
    deadLettered: of('dead-lettered'),
    deadByReason: Object.fromEntries(
      counts.flatMap(([name, count]) => (name.startsWith('dead:') ? [[name.slice(5), count]] : [])),
    ),
  };
}

/** Events that have not ended yet. */
export function underWay({ accepted, imported, superseded, deadLettered }: Tally): number {
  return Math.max(0, accepted - imported - superseded - deadLettered);
}
