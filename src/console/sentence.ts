import { HOLD_ADVICE } from '../logging/hold-log.ts';
import type { Status } from '../ops/status.ts';
import { WRITE_PROBLEMS } from '../redis/requirements.ts';

/** One thing to say of the fleet. Other languages make their words of `code` and `values`. */
export interface Sentence {
  readonly code:
    | ('no-workers' | 'paused' | 'held' | 'throttled' | 'behind' | 'running' | 'idle')
    | ('redis-refuses' | 'dead-letters' | 'suspects' | 'memory-high' | 'memory-full');
  readonly level: 'ok' | 'attention' | 'bad';
  readonly values: Readonly<Record<string, string | number | null>>;
  readonly text: string;
  /** What to do; '' when there is nothing to do. */
  readonly advice: string;
}

/** Older than this, what waits is behind and not merely on its way. */
const BEHIND_AFTER_MS = 10_000;

/** The sentence on top, and what else is to be said. `perMinute`: accounts imported in the last minute. Pure. */
export function sentencesOf(status: Status, perMinute: number): { sentence: Sentence; also: Sentence[] } {
  const stops = [
    redisRefuses(status),
    withoutWorkers(status),
    paused(status),
    held(status),
    memoryFull(status),
  ].filter((one) => one !== undefined);
  const [sentence = pace(status, perMinute), ...more] = stops;
  return { sentence, also: [...more, ...besides(status)] };
}

function waitingIn({ intake, calls }: Status): number {
  const inCalls = Object.values(calls).reduce((sum, { users }) => sum + users, 0);
  return intake.waiting + intake.parked + inCalls;
}

/** Nothing is accepted, and nothing goes on: no other trouble matters as much. */
function redisRefuses({ redis: { problems } }: Status): Sentence | undefined {
  const [problem] = problems;
  if (problem === undefined) return undefined;
  const kind = Object.entries(WRITE_PROBLEMS).find(([, words]) => words === problem)?.[0] ?? 'other';
  const end = problem.indexOf('. ') + 1;
  return {
    code: 'redis-refuses',
    level: 'bad',
    values: { kind },
    text: `New events are refused: ${problem.slice(0, end)}`,
    advice: `${problem.slice(end + 1)} What Redis has acknowledged is kept.`,
  };
}

/** The HTTP intake takes nothing more, while Redis itself still would. */
function memoryFull({ redis }: Status): Sentence | undefined {
  if (redis.memory !== 'full' || redis.problems.includes(WRITE_PROBLEMS.memory)) return undefined;
  return memorySentence('memory-full', redis.memoryUsedRatio);
}

function memorySentence(code: 'memory-high' | 'memory-full', usedRatio: number | null): Sentence {
  const usedPercent = Math.floor((usedRatio ?? 0) * 100);
  return {
    code,
    level: 'bad',
    values: { usedPercent },
    text: `Redis is ${usedPercent} % full.`,
    advice: 'Raise its maxmemory, or find what fills it.',
  };
}

function withoutWorkers(status: Status): Sentence | undefined {
  if (status.workers.length > 0) return undefined;
  const waiting = waitingIn(status);
  return {
    code: 'no-workers',
    level: 'bad',
    values: { waiting, since: null },
    text: `No worker runs: ${countText(waiting, 'event')} wait.`,
    advice: 'Start one with imsync worker; nothing is lost meanwhile.',
  };
}

function paused(status: Status): Sentence | undefined {
  const { pause } = status;
  if (pause === null) return undefined;
  const waiting = waitingIn(status);
  const { by = '', reason, since } = pause;
  return {
    code: 'paused',
    level: 'attention',
    values: { by, reason, since, waiting },
    text: `Paused since ${timeText(since)} by ${by || 'an operator'}${reason === '' ? '' : `: ${reason}`}. ${countText(waiting, 'event')} wait.`,
    advice: 'Resume when the reason is gone; events are accepted all the time.',
  };
}

function held(status: Status): Sentence | undefined {
  const { hold } = status;
  if (hold === null) return undefined;
  const waiting = waitingIn(status);
  return {
    code: 'held',
    level: 'bad',
    values: { ...hold, waiting },
    text: `Held since ${timeText(hold.since)} (${hold.kind}): ${hold.errorCode === 0 ? '' : `${hold.errorCode} `}${hold.errorInfo}. ${countText(waiting, 'event')} wait.`,
    advice: `${HOLD_ADVICE[hold.kind] ?? 'Compare the code with the API reference.'} Probes find the recovery by themselves.`,
  };
}

/** While calls are made: how fast, and whether it is fast enough. */
function pace(status: Status, perMinute: number): Sentence {
  const waiting = waitingIn(status);
  const oldestAgeMs = status.oldestUnfinishedAgeMs ?? 0;
  const slowed = Object.entries(status.calls).find(([, { rate, quota }]) => rate < 0.7 * quota);
  if (slowed !== undefined && waiting > 0) {
    const [command, { rate, quota }] = slowed;
    return {
      code: 'throttled',
      level: 'attention',
      values: { command, rate, quota, waiting },
      text: `Slowed down: ${rate.toFixed(1)} of ${quota} calls a second. ${countText(waiting, 'event')} wait.`,
      advice: 'The API says "too often", or a worker has a lower quota; the rate recovers by itself.',
    };
  }
  if (waiting > 0 && oldestAgeMs > BEHIND_AFTER_MS) {
    return {
      code: 'behind',
      level: 'attention',
      values: { perMinute, waiting, oldestAgeMs },
      text: `Running: ${countText(perMinute, 'account')} in the last minute; ${countText(waiting, 'event')} wait, the oldest for ${Math.round(oldestAgeMs / 1_000)} s.`,
      advice: 'The backlog is worked off as fast as the quota allows.',
    };
  }
  if (waiting > 0 || perMinute > 0) {
    return {
      code: 'running',
      level: 'ok',
      values: { perMinute, waiting },
      text: `Running: ${countText(perMinute, 'account')} in the last minute; ${waiting === 0 ? 'nothing waits' : `${countText(waiting, 'event')} on the way`}.`,
      advice: '',
    };
  }
  const text = 'Ready: nothing waits, and nothing came in the last minute.';
  return { code: 'idle', level: 'ok', values: {}, text, advice: '' };
}

function besides({ deadLetters, suspects, redis }: Status): Sentence[] {
  const said: Sentence[] = [];
  if (redis.memory === 'high') said.push(memorySentence('memory-high', redis.memoryUsedRatio));
  if (deadLetters.total > 0) {
    const { total, oldestAgeMs } = deadLetters;
    said.push({
      code: 'dead-letters',
      level: 'attention',
      values: { total, oldestAgeMs },
      text: `${countText(total, 'dead letter')}.`,
      advice: 'Look at them by reason: some can be redriven.',
    });
  }
  if (suspects.calls > 0) {
    said.push({
      code: 'suspects',
      level: 'attention',
      values: { calls: suspects.calls },
      text: `${countText(suspects.calls, 'call')} fail while others succeed; each is retried alone.`,
      advice: 'Look at their last answers; they delay nobody else.',
    });
  }
  return said;
}

function countText(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
