import { readTotals } from '../ledger/totals.ts';
import type { FleetState, HoldState } from '../pace/hold/hold-state.ts';
import type { HoldWatch } from '../pace/hold/hold-watch.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import type { Logger } from './log.ts';

/** What an operator can do about a hold. */
const ADVICE: Readonly<Record<string, string>> = {
  credentials:
    'Check IMSYNC_SDK_SECRET_KEY, IMSYNC_ADMIN_ID, and for 70001 the clocks; a key file is read again before each probe.',
  region: "The SDKAppID is not known there: check IMSYNC_SDK_APP_ID and IMSYNC_REGION, the app's home.",
  permission: 'IMSYNC_ADMIN_ID must be an admin of the app, and this host must be allowed to call.',
  quota: "The plan's number of accounts is reached: raise the plan; the import goes on by itself.",
  disabled: 'The app or its plan is disabled: see the console of the provider.',
  configuration: 'Check IMSYNC_BASE_URL, IMSYNC_REGION and IMSYNC_API.',
  outage:
    'The API is away, or cannot be reached from here: see the status page of the provider, and the network.',
  brake: 'Everyone is refused, so it is not about the accounts: compare errorInfo with the API reference.',
};

/**
 * Says every change of hold and pause once in this process's log, with since, until and how many wait. Told by
 * the watch; the state is read anew, since several changes may have come at once.
 */
export function startHoldHerald(options: {
  readonly hold: HoldState;
  readonly watch: HoldWatch;
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly log: Logger;
  readonly onTrouble: (error: Error) => void;
}): void {
  const { hold, watch, redis, keys, log, onTrouble } = options;
  let known: Pick<FleetState, 'hold' | 'pause'> = { hold: null, pause: null };
  let reading: Promise<void> = Promise.resolve();

  const look = async (): Promise<void> => {
    const [state, books] = [await hold.read(), await readTotals(redis, keys)];
    const inCalls = Object.values(books.usersInCalls).reduce((sum, n) => sum + n, 0);
    const waiting = books.waiting + books.parked + inCalls;
    const at = (ms: number): string => new Date(ms).toISOString();
    const before = known;
    known = state;
    if (state.hold !== null && state.hold.kind !== before.hold?.kind) {
      const { kind, errorCode, errorInfo, since } = state.hold;
      log.error(
        { kind, errorCode, errorInfo, since: at(since), waiting },
        `all calls are held, events are kept: ${kind}. ${ADVICE[kind] ?? ''} Probes find the recovery by themselves`,
      );
    }
    if (state.hold === null && before.hold !== null) {
      const { kind, since } = before.hold;
      log.info({ kind, since: at(since), until: at(books.nowMs), waiting }, 'the hold is over, calls go on');
    }
    if (state.pause !== null && before.pause === null) {
      const { reason, since } = state.pause;
      log.warn(
        { reason, since: at(since), waiting },
        'paused by an operator, events are kept: imsync resume goes on',
      );
    }
    if (state.pause === null && before.pause !== null) {
      log.info({ since: at(before.pause.since), until: at(books.nowMs), waiting }, 'resumed by an operator');
    }
  };
  const lookNext = (): void => {
    reading = reading.then(look).catch(onTrouble);
  };
  watch.onChange(lookNext);
  lookNext();
}
