import type { Config, ReadFile } from '../../config/config.ts';
import { isAbsent } from '../../event/event.ts';
import type { UserInput } from '../../event/fields.ts';
import { commandPair } from '../../pace/budget.ts';
import { createHoldState, type HoldState } from '../../pace/hold/hold-state.ts';
import { openSlots } from '../../pace/open-limiter.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../redis/connect.ts';
import { type Keys, keysOf } from '../../redis/keys.ts';
import { redisSettings } from '../../redis/settings.ts';
import type { AccountChecks } from '../checks/account-checks.ts';
import type { AccountChecksReport } from '../checks/check-call.ts';
import { openAccountChecks } from '../checks/open-account-checks.ts';
import { createInFlightLimit, type InFlightLimit, type Obstacle } from './in-flight-limit.ts';
import { createStreamWriter, type StreamWriter } from './stream-writer.ts';

/** What an import or a verification works with. */
export interface Backfill {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly hold: HoldState;
  /** Undefined when no account is to be checked. */
  readonly checks: AccountChecks | undefined;
  readonly limit: InFlightLimit;
  writer(tally?: string): StreamWriter;
  close(): Promise<void>;
}

export interface BackfillReport extends AccountChecksReport {
  obstacle(obstacle: Obstacle | undefined, why?: string): void;
}

const REACH_MS = 3_000;
/** The class of calls that can wait longest. */
const SLOT_CLASS = 'redrive';

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
          config,
          readFile,
          redis,
          subscriber: open('backfill-watch'),
          keys,
          slotClass: SLOT_CLASS,
          report,
          onTrouble: (error) => report.obstacle('redis', error.message),
        })
      : undefined;
    return {
      redis,
      keys,
      hold: createHoldState(redis, keys),
      checks,
      limit: limitOf(config, redis, keys, signal, report),
      writer: (tally) =>
        createStreamWriter({ redis, keys, tally, signal, onRefused: (why) => report.obstacle('redis', why) }),
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

function limitOf(
  config: Config,
  redis: RedisClient,
  keys: Keys,
  signal: AbortSignal,
  report: BackfillReport,
): InFlightLimit {
  const commands = commandPair(config.api.form);
  return createInFlightLimit({
    redis,
    keys,
    commands,
    slots: {
      batch: openSlots(config, redis, keys, commands.batch),
      single: openSlots(config, redis, keys, commands.single),
    },
    usersPerBatch: commands.batch === commands.single ? 1 : config.batch.maxSize,
    signal,
    onObstacle: (obstacle, why) => report.obstacle(obstacle, why),
  });
}

/** Whether a user needs a call of its own. cut.lua decides by the same rule. */
export function needsOwnCall(form: Config['api']['form']): (user: UserInput) => boolean {
  return ({ type, nick, faceUrl }) =>
    form === 'hosted' ||
    (form === 'legacy' && (Number(type) === 1 || !(isAbsent(nick) && isAbsent(faceUrl))));
}
