import type { Config, ReadFile } from '../../config/config.ts';
import { isAbsent } from '../../event/event.ts';
import type { UserInput } from '../../event/fields.ts';
import { spacingMicros } from '../../pace/budget.ts';
import { createHoldState, type HoldState } from '../../pace/hold/hold-state.ts';
import { commandPair, quotaOf } from '../../pace/quotas.ts';
import { createRedisClock } from '../../pace/redis-clock.ts';
import { createSlotClient } from '../../pace/slot.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../redis/connect.ts';
import { type Keys, keysOf } from '../../redis/keys.ts';
import { redisSettings } from '../../redis/settings.ts';
import type { AccountChecks, AccountChecksReport } from '../account-checks.ts';
import { openAccountChecks } from '../open-account-checks.ts';
import { createGate, type Gate, type Obstacle } from './in-flight-limit.ts';
import { type Adder, createAdder } from './stream-writer.ts';

/** What an import or a verification works with. */
export interface Backfill {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly hold: HoldState;
  /** Undefined when nobody is to be asked for. */
  readonly checks: AccountChecks | undefined;
  readonly gate: Gate;
  adder(tally?: string): Adder;
  close(): Promise<void>;
}

export interface BackfillReport extends AccountChecksReport {
  obstacle(obstacle: Obstacle | undefined, why?: string): void;
}

const REACH_MS = 3_000;
/** The class of calls that can wait longest. */
const SLOT_CLASS = 'redrive';

/**
 * Connects. Once Redis was reached, it is waited for whenever it is away. Rejects with the reason when it cannot be
 * reached at the start.
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
    const commands = commandPair(config.api.form);
    const slotsOf = (command: typeof commands.batch) =>
      createSlotClient(redis, keys, command, createRedisClock(), spacingMicros(quotaOf(config, command)));
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
      gate: createGate({
        redis,
        keys,
        commands,
        books: { batch: slotsOf(commands.batch), single: slotsOf(commands.single) },
        usersPerBatch: commands.batch === commands.single ? 1 : config.batch.maxSize,
        signal,
        onObstacle: (obstacle, why) => report.obstacle(obstacle, why),
      }),
      adder: (tally) =>
        createAdder({ redis, keys, tally, signal, onRefused: (why) => report.obstacle('redis', why) }),
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

/** Whether a user needs a call of their own: what cut.lua goes by. */
export function needsOwnCall(form: Config['api']['form']): (user: UserInput) => boolean {
  return ({ type, nick, faceUrl }) =>
    form === 'hosted' ||
    (form === 'legacy' && (Number(type) === 1 || !(isAbsent(nick) && isAbsent(faceUrl))));
}
