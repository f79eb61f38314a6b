import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLoopDeadline, type LoopDeadline } from '../lifecycle/loop-deadline.ts';
import { patienceMs } from '../pace/budget.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import {
  type CallClaim,
  type CutAnswer,
  type CutCall,
  type CutLimits,
  cutCalls,
  type LocalCall,
} from './cut.ts';
import { createArrivalRate, nextLookMs, secondLookMs } from './linger.ts';

/** A place for a call in hand: called to give it up. */
export type Place = () => void;

export interface Coalescer {
  /** Something came back to the intake, or room for calls came free: look now. */
  nudge(): void;
  /** Stops after the cut at hand has been handed over. */
  close(): Promise<void>;
  /** Looks now and then whatever happens; idle only while it waits for a place; due since its oldest cut that has no answer. */
  readonly deadline: LoopDeadline;
}

/** An idle loop turns this often all the same, for what only another process heard of. */
const IDLE_TURN_MS = 5_000;
/** Blocked by open calls: there are two seconds of them, so a look now and then is soon enough. */
const BLOCKED_LOOK_MS = 50;
/** Held or paused: the change wakes the loop; this is for the case that it was not heard. */
const STOPPED_LOOK_MS = 1_000;
const TROUBLE_WAIT_MS = 500;
/** Cuts whose answers are not waited for, at most; the places for calls bound them as well. */
const MOST_LATE = 8;
/**
 * A lone event wakes all processes that are idle. Who cut the last one goes first; the others look a little later, in
 * case that one is gone or busy, and do not take the processor from it meanwhile.
 */
const GIVE_WAY_MS = 3;

/** False when the work takes longer; it goes on. */
async function endsWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

function usersOf(calls: readonly CutCall[]): number {
  return calls.reduce((sum, { users }) => sum + users, 0);
}

/**
 * The loop that turns waiting events into calls. Every process runs one; the script decides, so that it does
 * not matter which of them asks. An idle one blocks on the stream and polls nothing. Under a backlog the next call is
 * cut though the answer to the last cut is long in coming (docs/decisions/0095).
 */
export function startCoalescer(options: {
  readonly redis: RedisClient;
  /** A connection of its own: it blocks. Closed by this loop's `close`. */
  readonly blocking: RedisClient;
  readonly keys: Keys;
  readonly limits: CutLimits;
  readonly processId: string;
  /** Resolves when this process can take one more call in hand; to 'closing' when it takes none any more. */
  readonly place: () => Promise<Place | 'closing'>;
  /** Names the call that is cut next, and the run that takes it. Never the same twice. */
  readonly nextClaim: () => CallClaim;
  /** An event came to an empty intake: its call needs a connection in a moment. */
  readonly expectCall: () => void;
  /** Works the call off. Calls `leave` when its place is free again. */
  readonly take: (call: LocalCall, leave: Place) => void;
  /** Makes jobs of the other calls. Rejects when Redis fails; the sweep makes up for it. */
  readonly handOver: (calls: readonly CutCall[]) => Promise<void>;
  readonly onTrouble: (error: Error) => void;
}): Coalescer {
  const {
    redis,
    blocking,
    keys,
    limits,
    processId,
    place,
    nextClaim,
    expectCall,
    take,
    handOver,
    onTrouble,
  } = options;
  const rate = createArrivalRate();
  let closing = false;
  let nudged = false;
  let wake: (() => void) | undefined;
  let reading: Promise<void> | undefined;
  /** An entry came while this process waited for one. */
  let woken = false;
  let cutLast = true;
  /** By the newest answer another call can be cut at once. */
  let moreWaits = false;
  /** Cuts whose answers are not waited for, and when each was asked for, ms; oldest first. */
  const late = new Map<Promise<unknown>, number>();
  const waitsMs = patienceMs(limits.eagerGapMs);
  const deadline = createLoopDeadline();

  /** What the next look goes by. */
  const lingering = ({ waiting, dueInMs }: { readonly waiting: number; readonly dueInMs: number }) => {
    const { maxUsers, maxWaitMs } = limits;
    return { waiting, dueInMs, maxUsers, maxWaitMs };
  };

  /** Rests for `ms`, until nudged, or until `other` is done. */
  const rest = async (ms: number, other?: Promise<void>): Promise<void> => {
    if (nudged || closing) {
      nudged = false;
      return;
    }
    deadline.rest(ms);
    let timer: NodeJS.Timeout | undefined;
    const alone = new Promise<void>((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    await (other === undefined ? alone : Promise.race([alone, other]));
    clearTimeout(timer);
    wake = undefined;
    nudged = false;
  };

  /** Resolves when the stream holds anything. Entries leave it when they are cut, so it is read from its start. */
  const somethingWaits = (): Promise<void> => {
    reading ??= blocking
      .xread('COUNT', 1, 'BLOCK', IDLE_TURN_MS, 'STREAMS', keys.stream, '0-0')
      .then(
        (entries) => {
          woken = entries !== null;
        },
        async (error: Error) => {
          if (closing) return;
          onTrouble(error);
          // Refused at once, it would be asked again and again.
          await sleep(TROUBLE_WAIT_MS);
        },
      )
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };

  /** Cuts once, and has what was cut worked off. */
  const cut = async (leave: Place): Promise<CutAnswer> => {
    let taken = false;
    try {
      const answer = await cutCalls(redis, keys, limits, processId, nextClaim());
      moreWaits = answer.kind === 'cut' && answer.waiting >= limits.maxUsers;
      if (answer.kind !== 'cut') return answer;
      const { localCalls, calls } = answer;
      if (localCalls !== undefined) {
        taken = true;
        take(localCalls, leave);
      }
      rate.cut(answer.waiting + answer.parked + usersOf(calls) + (localCalls?.users ?? 0), performance.now());
      if (calls.length > 0) await handOver(calls);
      return answer;
    } catch (error) {
      // Whatever waits: the next one's answer is waited for, and a rest follows its failure.
      moreWaits = false;
      throw error;
    } finally {
      if (!taken) leave();
    }
  };

  /** What it cuts is worked off when its answer comes; the turn goes by the answers of those after it. */
  const endLater = (cutting: Promise<CutAnswer>, askedAtMs: number): void => {
    const ended = cutting
      .catch((error: Error) => {
        if (!closing) onTrouble(error);
      })
      .finally(() => late.delete(ended));
    late.set(ended, askedAtMs);
  };

  const turn = async (): Promise<void> => {
    // Without a place it has nothing to do; others may cut meanwhile.
    deadline.idle();
    const leave = await place();
    if (leave === 'closing') return;
    deadline.turn();
    const isLone = woken;
    woken = false;
    const askedAtMs = performance.now();
    if (isLone && cutLast) expectCall();
    const cutting = cut(leave);
    if (moreWaits && late.size < MOST_LATE && !(await endsWithin(cutting, waitsMs))) {
      endLater(cutting, askedAtMs);
      return;
    }
    const answer = await cutting;
    if (isLone) cutLast = answer.kind === 'cut';
    switch (answer.kind) {
      case 'cut':
        return;
      case 'linger': {
        const seenAtMs = performance.now();
        rate.saw(answer.waiting, seenAtMs);
        return rest(nextLookMs({ arrivalsPerMs: rate.perMs, ...lingering(answer) }));
      }
      case 'watched':
        return rest(secondLookMs({ waitMs: answer.waitMs, ...lingering(answer) }));
      case 'empty':
        await rest(2 * IDLE_TURN_MS, somethingWaits());
        if (woken && !cutLast) await rest(GIVE_WAY_MS);
        return;
      case 'blocked':
        return rest(answer.by === 'open-calls' ? BLOCKED_LOOK_MS : STOPPED_LOOK_MS);
    }
  };

  const loop = async (): Promise<void> => {
    while (!closing) {
      try {
        await turn();
      } catch (error) {
        if (!closing) onTrouble(error as Error);
        await rest(TROUBLE_WAIT_MS);
      }
    }
  };
  const ended = loop();

  return {
    nudge() {
      nudged = true;
      wake?.();
    },
    async close() {
      closing = true;
      wake?.();
      blocking.disconnect();
      await ended;
      await Promise.all(late.keys());
    },
    deadline: {
      get dueMs() {
        const [oldestMs] = late.values();
        return oldestMs ?? deadline.dueMs;
      },
    },
  };
}
