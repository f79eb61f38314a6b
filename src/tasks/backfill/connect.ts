import type { Config, ReadFile } from '../../config/config.ts';
import type { UserInput } from '../../event/fields.ts';
import { createHoldState, type HoldState } from '../../hold/hold-state.ts';
import { commandPair } from '../../pace/budget.ts';
import { openSlots } from '../../pace/open-limiter.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../redis/connect.ts';
import { type AppRedis, keysOf } from '../../redis/keys.ts';
import { redisSettings } from '../../redis/settings.ts';
import { openAccountChecks } from '../account-checks.ts';
import type { AccountChecksReport } from '../check-caller.ts';
import type { AccountChecks } from '../check-users.ts';
import { createInFlightLimit, type Obstacle } from './in-flight-limit.ts';
import { addWithin, writeUsers } from './stream-writer.ts';
import { needsOwnCall } from './validate-rows.ts';

/** What an import or a verification works with. */
export interface Backfill extends AppRedis {
  readonly hold: HoldState;
  /** Undefined when no account is to be checked. */
  readonly checks: AccountChecks | undefined;
  /** Adds users to the intake as fast as the in-flight limit allows. `tally` counts them. */
  add(users: readonly UserInput[], tally?: string): Promise<void>;
  close(): Promise<void>;
}

export interface BackfillReport extends AccountChecksReport {
  obstacle(obstacle: Obstacle | undefined, why?: string): void;
}

const REACH_MS = 3_000;

/**
 * Connects. Rejects with the reason when Redis cannot be reached at the start. Later the backfill waits
 * whenever Redis is away.
 */
export async function openBackfill(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly withChecks: boolean;
  readonly signal: AbortSignal;
  readonly report: BackfillReport;
}): Promise<Backfill> {
  const { config, readFile, withChecks, signal, report } = options;
  const settings = redisSettings(config, readFile);
  const keys = keysOf(config.app.sdkAppId);
  const commands = commandPair(config.api.form);
  const connections: RedisClient[] = [];
  const open = (name: string): RedisClient => {
    const client = openRedis(settings, 'loop', name, (change) => {
      if (change.state === 'lost') report.obstacle('redis', change.reason);
      else report.obstacle(undefined);
    });
    connections.push(client);
    return client;
  };
  const close = async (): Promise<void> => {
    await Promise.all(connections.map(closeRedis));
  };
  const redis = open('backfill');
  try {
    await whenReady(redis, REACH_MS);
    const checks = withChecks
      ? await openAccountChecks({
          ...{ config, readFile, redis, keys, report },
          subscriber: open('backfill-watch'),
          // The class of calls that can wait longest.
          slotClass: 'redrive',
          onTrouble: (error) => report.obstacle('redis', error.message),
        })
      : undefined;
    const limit = createInFlightLimit({
      ...{ redis, keys, commands, signal },
      slots: {
        batch: openSlots(config, redis, keys, commands.batch),
        single: openSlots(config, redis, keys, commands.single),
      },
      usersPerBatch: commands.batch === commands.single ? 1 : config.batch.maxSize,
      onObstacle: (obstacle, why) => report.obstacle(obstacle, why),
    });
    const onRefused = (why: string): void => report.obstacle('redis', why);
    const isAlone = needsOwnCall(config.api.form);
    return {
      redis,
      keys,
      hold: createHoldState(redis, keys),
      checks,
      add(users, tally) {
        const target = { redis, keys, tally, signal, onRefused };
        return addWithin(limit, (some) => writeUsers(target, some), isAlone, users);
      },
      async close() {
        checks?.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
