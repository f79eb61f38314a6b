import type { Config } from '../config/config.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { commandPair, type Quota, quotasOf, ratePerSecond } from '../pace/budget.ts';

/** How much this worker takes on, by its configuration. */
export interface Capacity {
  readonly batch: ImportCommand;
  readonly single: ImportCommand;
  /** Those that carry events, each once. */
  readonly commands: readonly ImportCommand[];
  /** Users in a call record. */
  readonly usersInRecord: number;
  quota(command: ImportCommand): Quota;
  /** Records that may stand open, over the fleet. */
  openRecords(command: ImportCommand): number;
  /** Jobs that this process works on at a time, and of the batch command as many calls in hand besides. */
  concurrency(command: ImportCommand): number;
}

/** Seconds of budget that may stand open as calls, over the fleet; beyond that events wait in the stream. */
const OPEN_SECONDS = 2;
/** As many as may stand open, so that no new call waits for a worker while others are split or resolved. */
const CONCURRENCY = { atLeast: 8, atMost: 200 };
/**
 * Users in a record of hosted mode, where each has a call of their own (docs/decisions, hosted mode): enough to
 * make jobs cheap, few enough to leave little behind when a worker dies.
 */
const HOSTED_RECORD_USERS = 20;

export function capacityOf(config: Config): Capacity {
  const { batch, single } = commandPair(config.api.form);
  const quotas = quotasOf(config);
  const isHosted = config.api.form === 'hosted';
  const callsInRecord = isHosted ? HOSTED_RECORD_USERS : 1;
  const quota = (command: ImportCommand): Quota => {
    const found = quotas[command];
    if (found === undefined)
      throw new RangeError(`no quota is known for ${command}: a bug, please report it`);
    return found;
  };
  const openRecords = (command: ImportCommand): number =>
    Math.ceil((OPEN_SECONDS * ratePerSecond(quota(command))) / callsInRecord);
  return {
    ...{ batch, single, quota, openRecords },
    commands: [...new Set<ImportCommand>([batch, single])],
    usersInRecord: isHosted ? HOSTED_RECORD_USERS : config.batch.maxSize,
    concurrency: (command) =>
      Math.min(CONCURRENCY.atMost, Math.max(CONCURRENCY.atLeast, openRecords(command))),
  };
}
