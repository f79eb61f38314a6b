import { compareEventIds, type RawEntry } from '../../src/event/event.ts';
import { cutCalls } from '../../src/intake/cut.ts';
import { claimRecord } from '../../src/ledger/claim.ts';
import type { CallRecord } from '../../src/ledger/record.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotClient, type SlotClient } from '../../src/pace/slot.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import { settlementBy } from './settlements.ts';
import { BATCH, limits, oldForm, type Stage } from './stage.ts';

/** What the API would know: each user's profile by the event it came from. */
export interface ApiModel {
  /** An import arrives. Throws when it would put an older profile in the place of a newer one. */
  land(imported: readonly { readonly userId: string; readonly eventId: string }[]): void;
  readonly profiles: ReadonlyMap<string, string>;
}

export function createApiModel(): ApiModel {
  const profiles = new Map<string, string>();
  return {
    profiles,
    land(imported) {
      for (const { userId, eventId } of imported) {
        const known = profiles.get(userId);
        if (known !== undefined && compareEventIds(known, eventId) > 0)
          throw new Error(`${userId} went backwards: ${eventId} arrived after ${known}`);
        profiles.set(userId, eventId);
      }
    },
  };
}

/** A run of a call, as far as it has come. */
export interface Run {
  readonly process: Process;
  readonly callId: string;
  readonly name: string;
  readonly record: CallRecord;
  readonly settlement: ReturnType<typeof settlementBy>;
  /** Whether what stays has arrived all the same: its answer was lost. */
  readonly unheard: ReturnType<typeof settlementBy>;
}

/** One worker process: a connection of its own, and the scripts. */
export interface Process {
  readonly name: string;
  cut(maxUsers: number, maxOpenCalls?: number): Promise<number>;
  /** undefined when the record is gone. `stays` says which users the call settles nothing for. */
  claim(callId: string, stays: (userId: string) => boolean): Promise<Run | undefined>;
  /** Answers false when another run owns the record. */
  slot(run: Run): Promise<boolean>;
  /** Answers false when another run owns the record. */
  settle(run: Run): Promise<boolean>;
}

let runs = 0;

export function startProcess({ keys, connect }: Stage, name: string): Process {
  const redis: RedisClient = connect();
  const book: SlotClient = createSlotClient(redis, keys, BATCH, createRedisClock(), 1);
  const process: Process = {
    name,
    cut: async (maxUsers, maxOpenCalls = 1_000) => {
      const answer = await cutCalls({ redis, keys }, { ...limits, ...oldForm, maxUsers, maxOpenCalls });
      return answer.kind === 'cut' ? answer.calls.length : 0;
    },
    claim: async (callId, stays) => {
      const run = `${name}-${++runs}`;
      const claim = await claimRecord({ redis, keys }, callId, run, 64_000);
      if (claim.kind !== 'yours') return undefined;
      const { record } = claim;
      const settlement = settlementBy(record, (userId, newest) =>
        stays(userId) ? 'stay' : refusedOf(newest),
      );
      const unheard = settlementBy(record, (_userId, newest) => refusedOf(newest));
      return { process, callId, name: run, record, settlement, unheard };
    },
    slot: async ({ callId, name: run }) => {
      for (;;) {
        const answer = await book.ask([{ callId, run, slotClass: 'live' }]);
        if (answer.kind === 'slot') return true;
        if (answer.kind === 'lost') return false;
      }
    },
    settle: async ({ callId, name: run, settlement }) =>
      (await settleRecord(redis, keys, callId, run, settlement)).kind === 'settled',
  };
  return process;
}

/** The API refuses events that are noted as `bad`; the newest that it takes is the one that gets in. */
export function isBad({ fields }: RawEntry): boolean {
  return fields.includes('bad');
}

function refusedOf(newestFirst: readonly RawEntry[]): number {
  const good = newestFirst.findIndex((entry) => !isBad(entry));
  return good < 0 ? newestFirst.length : good;
}
