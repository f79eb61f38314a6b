import type { FleetState, HoldState } from '../hold/hold-state.ts';
import type { HoldWatch } from '../hold/hold-watch.ts';
import type { HoldKind } from '../im/verdict-rows.ts';
import { readTotals } from '../ledger/totals.ts';
import type { AppRedis } from '../redis/keys.ts';
import type { Logger } from './log.ts';

type Hold = FleetState['hold'];
type Pause = FleetState['pause'];

/** What an operator can do about a hold, by its kind. A worker of another version may know other kinds. */
export const HOLD_ADVICE: Readonly<Partial<Record<string, string>>> = {
  credentials:
    'Check IMSYNC_SDK_SECRET_KEY (or IMSYNC_USER_SIG), IMSYNC_ADMIN_ID, and for 70001 the clocks; a key file is read again before each probe.',
  region: "The SDKAppID is not known there: check IMSYNC_SDK_APP_ID and IMSYNC_REGION, the app's home.",
  permission: 'IMSYNC_ADMIN_ID must be an admin of the app, and this host must be allowed to call.',
  quota: "The plan's number of accounts is reached: raise the plan; the import goes on by itself.",
  disabled: 'The app or its plan is disabled: see the console of the provider.',
  configuration: 'Check IMSYNC_SDK_APP_ID, IMSYNC_BASE_URL, IMSYNC_REGION and IMSYNC_API.',
  proxy:
    'It is the proxy in front of the API, not the API: check IMSYNC_PROXY_URL (or HTTPS_PROXY) and the proxy; its file is read again.',
  outage:
    'The API is away, or cannot be reached from here: see the status page of the provider, and the network.',
  brake: 'Everyone is refused, so it is not about the accounts: compare errorInfo with the API reference.',
} satisfies Record<HoldKind | 'outage' | 'brake', string>;

/**
 * Logs each change of hold and pause once, with when it began, when it ended and how many events wait. The
 * watch tells of a change; the state is then read again, since several changes may have come at once.
 */
export function startHoldLog(
  options: AppRedis & {
    readonly hold: HoldState;
    readonly watch: HoldWatch;
    readonly log: Logger;
    readonly onTrouble: (error: Error) => void;
  },
): void {
  const { hold, watch, redis, keys, log, onTrouble } = options;
  let known: Pick<FleetState, 'hold' | 'pause'> = { hold: null, pause: null };
  let reading: Promise<void> = Promise.resolve();

  const look = async (): Promise<void> => {
    const [state, totals] = [await hold.read(), await readTotals(redis, keys)];
    const inCalls = Object.values(totals.usersInCalls).reduce((sum, n) => sum + n, 0);
    const waiting = totals.waiting + totals.parked + inCalls;
    const before = known;
    known = state;
    logHoldChange(log, before.hold, state.hold, waiting, totals.nowMs);
    logPauseChange(log, before.pause, state.pause, waiting, totals.nowMs);
  };
  const lookNext = (): void => {
    reading = reading.then(look).catch(onTrouble);
  };
  watch.onChange(lookNext);
  lookNext();
}

function logHoldChange(log: Logger, before: Hold, now: Hold, waiting: number, nowMs: number): void {
  if (now !== null && now.kind !== before?.kind) {
    const { kind, errorCode, errorInfo, since } = now;
    log.error(
      { kind, errorCode, errorInfo, since: iso(since), waiting },
      `all calls are held, events are kept: ${kind}. ${HOLD_ADVICE[kind] ?? ''} Probes find the recovery by themselves`,
    );
  }
  if (now === null && before !== null) {
    const { kind, since } = before;
    log.info({ kind, since: iso(since), until: iso(nowMs), waiting }, 'the hold is over, calls go on');
  }
}

function logPauseChange(log: Logger, before: Pause, now: Pause, waiting: number, nowMs: number): void {
  if (now !== null && before === null) {
    const fields = { reason: now.reason, by: now.by, since: iso(now.since), waiting };
    log.warn(fields, 'paused by an operator, events are kept: imsync resume goes on');
  }
  if (now === null && before !== null) {
    log.info({ since: iso(before.since), until: iso(nowMs), waiting }, 'resumed by an operator');
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
