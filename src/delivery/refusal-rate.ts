import { performance } from 'node:perf_hooks';
import type { Verdict } from '../im/verdicts.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';
import type { Decision } from './policy/decision.ts';
import type { ApiRequest, Commands } from './policy/pending-user.ts';

const refusalRateScript = loadScript(import.meta.url, '../redis/prelude.lua', 'refusal-rate.lua');

/**
 * The fleet's estimate of how many users are refused when their call is. It sizes the
 * batches that cut.lua cuts: 1/share users, which is where a batch carries most (docs/decisions, splitting).
 */
export interface RefusalRate {
  /** Users whom answers to batch calls or searches judged. Never rejects, waits for nothing. */
  saw(innocent: number, culprits: number): void;
}

/** Users that the estimate looks back on. */
const WINDOW_USERS = 5_000;
/** Innocent users that stand at the start: one bad batch must not shrink all others. */
const PRIOR_USERS = 300;
const FORGET_SECONDS = 600;
/** Below this a batch is hardly better than single calls, and more of it are needed to see things mend. */
const MIN_SIZE = 10;
const MAX_SIZE = 100;
/** While there are culprits the innocent are told this often; while there are none, never. */
const TELL_EVERY_MS = 500;

export function trackRefusalRate(
  redis: RedisClient,
  keys: Keys,
  onTrouble: (error: Error) => void,
): RefusalRate {
  let share = 0;
  let users = 0;
  let found = 0;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let telling = false;

  const tell = async (): Promise<void> => {
    telling = true;
    toldAtMs = performance.now();
    const request = {
      users,
      found,
      windowUsers: WINDOW_USERS,
      priorUsers: PRIOR_USERS,
      forgetSeconds: FORGET_SECONDS,
      minSize: MIN_SIZE,
      maxSize: MAX_SIZE,
    };
    users = 0;
    found = 0;
    try {
      const [told] = (await runScript(
        redis,
        refusalRateScript,
        [keys.culprits],
        [JSON.stringify(request)],
      )) as [string, string];
      share = Number(told);
    } catch (error) {
      onTrouble(error as Error);
    }
    telling = false;
    // What was seen meanwhile.
    if (found > 0) void tell();
  };
  void tell();

  return {
    saw(innocent, culprits) {
      users += innocent + culprits;
      found += culprits;
      const due = found > 0 || (share > 0 && performance.now() - toldAtMs >= TELL_EVERY_MS);
      if (due && !telling) void tell();
    },
  };
}

/**
 * Whom an answer tells innocent or guilty. Only batch calls and searches count: who goes alone from the start (in
 * the old form a robot, in hosted mode everybody) tells nothing about batches.
 */
export function judgedIn(
  request: ApiRequest,
  verdict: Verdict,
  decision: Decision,
  { batch, single }: Commands,
): { readonly innocent: number; readonly culprits: number } {
  const counts = batch !== single && (request.command === batch || !request.first);
  if (!counts) return { innocent: 0, culprits: 0 };
  if (verdict.class === 'done') return { innocent: decision.imported.length, culprits: 0 };
  const isRefused = verdict.class === 'account' || verdict.class === 'body' || verdict.class === 'unknown';
  const isOne = request.users.length === 1 && decision.later.length === 0;
  return { innocent: 0, culprits: isRefused && isOne ? 1 : 0 };
}
