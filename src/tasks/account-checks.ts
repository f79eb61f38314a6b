import { setTimeout as sleep } from 'node:timers/promises';
import type { Config, ReadFile } from '../config/config.ts';
import { makeCall } from '../delivery/make-call.ts';
import { backoffMs } from '../delivery/policy/backoff.ts';
import type { ApiAnswer } from '../im/answers.ts';
import { decodeResults, encodeCheck } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import { openApi } from '../im/open-api.ts';
import { withoutUsers } from '../im/redact.ts';
import { type Verdict, type VerdictOverrides, verdictOf } from '../im/verdicts.ts';
import type { SlotClass } from '../pace/budget.ts';
import { commandPair } from '../pace/budget.ts';
import { createHoldState } from '../pace/hold/hold-state.ts';
import { type HoldWatch, watchHold } from '../pace/hold/hold-watch.ts';
import { type CommandLimiter, openLimiter, openSlots } from '../pace/open-limiter.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import { type SlotClient, withoutRecord } from '../pace/slot.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';

/**
 * What account_check says about an account. `refused`: it does not say; `errorCode` is 0 if the API gave
 * none.
 */
export type Presence =
  | { readonly kind: 'imported' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly errorInfo: string };

/**
 * Asks the API which accounts exist: account_check, at most 100 users a call. Each call takes a slot of
 * account_check's own budget. So it takes nothing from the imports, and obeys quota, throttle, pause and hold
 * with the whole fleet: while that is stopped, `ask` waits.
 *
 * It sets no hold, since an app may lack the permission to check and import all the same. A fault of the app
 * ends the checks while no call has succeeded yet; later ones are waited out, as the workers do.
 */
export interface AccountChecks {
  /**
   * Takes 1 to 100 distinct user IDs and resolves with a verdict for each. Rejects with ChecksRefusedError or
   * ChecksClosedError.
   */
  ask(userIds: readonly string[]): Promise<ReadonlyMap<string, Presence>>;
  /** Sends nothing new; pending calls of `ask` reject. */
  close(): void;
}

/**
 * Checks cannot go on: no call has succeeded and none can at present, or the bound on failures is reached.
 */
export class ChecksRefusedError extends Error {
  override readonly name = 'ChecksRefusedError';
  readonly verdict: Verdict;
  constructor(verdict: Verdict) {
    super(verdictWords(verdict));
    this.verdict = verdict;
  }
}

/** `close` was called. */
export class ChecksClosedError extends Error {
  override readonly name = 'ChecksClosedError';
}

export interface AccountChecksReport {
  /** A call failed and is made again after `waitMs`. Called for each failure. */
  again(verdict: Verdict, waitMs: number): void;
  /** A call succeeded. */
  answered(): void;
}

export interface CheckOptions {
  readonly client: ImClient;
  /** The limiter of account_check. `close` closes it. */
  readonly limiter: CommandLimiter;
  readonly watch: HoldWatch;
  readonly slotClass: SlotClass;
  /** The budgets that a throttle of all commands lowers besides that of `limiter`. */
  readonly otherSlots: readonly SlotClient[];
  readonly overrides: VerdictOverrides;
  /** Reads the secrets again and signs again. */
  readonly signAnew: () => void;
  /** Failures in a row of one call before it rejects. No bound by default. */
  readonly maxFailures?: number | undefined;
  readonly random: () => number;
  readonly report: AccountChecksReport;
}

/** An account without a verdict, or with an unknown one, is asked for this often in all. */
const MAX_TRIES_WITHOUT_VERDICT = 3;
/** When so many calls in a row are refused, down to single accounts, the accounts are not the cause. */
const REFUSED_IN_ROW = 20;
const BACKOFF = { baseMs: 1_000, maxMs: 30_000 };
/**
 * Wait after a fault of the app: 4 s at first, then twice as long each time; jitter takes up to a half off.
 */
const APP_GAP = { baseMs: 4_000, maxMs: 60_000 };

export function createAccountChecks(options: CheckOptions): AccountChecks {
  const caller = new CheckCaller(options);
  return {
    async ask(userIds) {
      const findings = new Findings();
      const pending: (readonly string[])[] = [userIds];
      for (let group = pending.pop(); group !== undefined; group = pending.pop()) {
        const { verdict, answer } = await caller.call(group);
        if (answer !== undefined) {
          const again = findings.takeAnswer(group, answer);
          if (again.length > 0) pending.push(again);
          continue;
        }
        if (group.length > 1) {
          // One account of the group is refused: halving finds it, and the others get their verdict.
          const half = Math.ceil(group.length / 2);
          pending.push(group.slice(half), group.slice(0, half));
          continue;
        }
        const [userId = ''] = group;
        const words = verdict.errorInfo || verdict.meaning;
        if (verdict.class !== 'unknown') {
          findings.refuse(userId, verdict.errorCode, words);
        } else if (findings.shouldRetry(userId, verdict.errorCode, words)) {
          await caller.rest(verdict, backoffMs(1, BACKOFF, options.random()));
          pending.push(group);
        }
      }
      return findings.presence;
    },
    close: () => caller.close(),
  };
}

/** The verdicts of one `ask` so far. */
class Findings {
  readonly presence = new Map<string, Presence>();
  private readonly tries = new Map<string, number>();

  refuse(userId: string, errorCode: number, errorInfo: string): void {
    this.presence.set(userId, { kind: 'refused', errorCode, errorInfo });
  }

  /** Counts an answer without a verdict. False after the last try: then the account counts as refused. */
  shouldRetry(userId: string, errorCode: number, errorInfo: string): boolean {
    const tried = (this.tries.get(userId) ?? 0) + 1;
    this.tries.set(userId, tried);
    if (tried < MAX_TRIES_WITHOUT_VERDICT) return true;
    this.refuse(userId, errorCode, errorInfo);
    return false;
  }

  /** Notes what a successful answer says of each user. Returns the users to ask for again. */
  takeAnswer(group: readonly string[], answer: ApiAnswer): string[] {
    const results = decodeResults(answer.body);
    return group.filter((userId) => {
      const result = results.get(userId);
      if (result === undefined)
        return this.shouldRetry(userId, 0, 'the answer did not speak of this account');
      const { resultCode, resultInfo, imported } = result;
      if (resultCode === 0 && imported !== undefined) {
        this.presence.set(userId, { kind: imported ? 'imported' : 'missing' });
        return false;
      }
      // An account's own code counts like that of a call for this account alone.
      const words = resultInfo || 'the answer did not say whether this account is there';
      return this.shouldRetry(userId, resultCode, words);
    });
  }
}

/** Makes single calls of account_check. */
class CheckCaller {
  private readonly options: CheckOptions;
  private readonly closed = new AbortController();
  private succeeded = false;
  private refusedInRow = 0;

  constructor(options: CheckOptions) {
    this.options = options;
  }

  /**
   * Repeats a call until it has a verdict about its users, with the answer when the call succeeded. Transient
   * failures, throttles and faults of the app are waited out. Rejects with ChecksRefusedError or
   * ChecksClosedError.
   */
  async call(userIds: readonly string[]): Promise<{ verdict: Verdict; answer?: ApiAnswer }> {
    const { limiter, otherSlots, signAnew, maxFailures = Infinity, random, report } = this.options;
    let hasSignedAnew = false;
    for (let failures = 0; ; ) {
      const { slot, answer, verdict } = await this.attempt(userIds);
      switch (verdict.class) {
        case 'done':
          this.succeeded = true;
          this.refusedInRow = 0;
          report.answered();
          return answer.kind === 'api' ? { verdict, answer } : { verdict };
        case 'throttle': {
          const budgets = verdict.throttles === 'all' ? [limiter.slots, ...otherSlots] : [limiter.slots];
          await Promise.all(budgets.map((slots) => slots.throttle(slot, verdict.retryAfterMs ?? 0)));
          report.again(verdict, 0);
          break;
        }
        case 'retry':
          if (++failures > maxFailures) throw new ChecksRefusedError(verdict);
          await this.rest(verdict, BACKOFF.baseMs / 2 + backoffMs(failures - 1, BACKOFF, random()));
          break;
        case 'app':
          signAnew();
          if (verdict.signAnew && !hasSignedAnew) {
            hasSignedAnew = true;
            break;
          }
          // Somebody started this process just now and can mend the fault. Later faults are waited out.
          if (!this.succeeded || ++failures > maxFailures) throw new ChecksRefusedError(verdict);
          await this.rest(verdict, Math.max(verdict.minProbeGapMs ?? 0, appGapMs(failures, random())));
          break;
        default:
          if (++this.refusedInRow >= REFUSED_IN_ROW) throw new ChecksRefusedError(verdict);
          return { verdict };
      }
    }
  }

  /** Waits for a slot and sends once. */
  private async attempt(userIds: readonly string[]) {
    const { client, limiter, watch, slotClass, overrides } = this.options;
    const placed = await makeCall(client, limiter, watch, withoutRecord(slotClass), encodeCheck(userIds), {
      probing() {},
      missed: (slot) => limiter.slots.giveUp(slot),
    });
    // A call without a record cannot be lost to another run, so the queue was closed.
    if (placed.kind !== 'answered') throw new ChecksClosedError();
    const { slot, answer } = placed;
    const verdict = verdictOf('account_check', answer, overrides);
    return { slot, answer, verdict: { ...verdict, errorInfo: withoutUsers(verdict.errorInfo, userIds) } };
  }

  /** Waits `waitMs` before something is tried again, and reports it. Rejects with ChecksClosedError. */
  async rest(verdict: Verdict, waitMs: number): Promise<void> {
    this.options.report.again(verdict, waitMs);
    await sleep(waitMs, undefined, { signal: this.closed.signal }).catch(() => {
      throw new ChecksClosedError();
    });
  }

  close(): void {
    this.closed.abort();
    this.options.limiter.slotQueue.close();
  }
}

function appGapMs(failures: number, random: number): number {
  const most = Math.min(APP_GAP.maxMs, APP_GAP.baseMs * 2 ** Math.min(failures - 1, 10));
  return most / 2 + (random * most) / 2;
}

/** A verdict in words: `70003, the UserSig is illegal ("…")`. */
export function verdictWords({ errorCode, httpStatus, meaning, errorInfo }: Verdict): string {
  const code = errorCode !== 0 ? `${errorCode}, ` : httpStatus > 200 ? `HTTP ${httpStatus}, ` : '';
  return `${code}${meaning}${errorInfo === '' ? '' : ` ("${errorInfo}")`}`;
}

/**
 * Opens account checks for a process that is no worker. The connections stay the caller's. Rejects when Redis
 * does not answer. Throws a RangeError in hosted mode, whose form has no account_check that this project
 * knows.
 */
export async function openAccountChecks(
  options: Pick<CheckOptions, 'slotClass' | 'maxFailures' | 'report'> & {
    readonly config: Config;
    readonly readFile: ReadFile;
    readonly redis: RedisClient;
    /** A connection that subscribes to the news of holds and pauses, and does nothing else. */
    readonly subscriber: RedisClient;
    readonly keys: Keys;
    /** Redis does not answer. */
    readonly onTrouble: (error: Error) => void;
  },
): Promise<AccountChecks> {
  const { config, readFile, redis, subscriber, keys, slotClass, maxFailures, report, onTrouble } = options;
  if (config.api.form === 'hosted') throw new RangeError('the hosted form has no account_check');
  const clock = createRedisClock();
  const watch = await watchHold(subscriber, keys);
  const hold = createHoldState(redis, keys);
  const { client, signAnew } = openApi(config, readFile);
  const { batch, single } = commandPair(config.api.form);
  const { ask, close } = createAccountChecks({
    ...{ client, watch, slotClass, signAnew, maxFailures, report, random: Math.random },
    limiter: openLimiter({ config, redis, keys, command: 'account_check', clock, hold, watch, onTrouble }),
    otherSlots: [batch, single].map((command) => openSlots(config, redis, keys, command, clock)),
    overrides: config.verdicts,
  });
  return {
    ask,
    close() {
      close();
      // Nobody needs the answer of a check that is still on the wire.
      client.abort();
    },
  };
}
