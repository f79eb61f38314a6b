import { type FleetState, readFleetState } from '../hold/hold-state.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../redis/script.ts';

const leaseScript = loadScript(import.meta.url, 'lease.lua');

/** The version of the stored state. */
const FORMAT = '1';
/** A sender that dies is replaced after this and one look of another process. */
const LEASE_MS = 10_000;

/** What the process that holds the lease finds. */
interface Claimed {
  /** False when it has just become the sender: only then `stored` counts. */
  readonly isKept: boolean;
  /** The state that was stored last; '' for none. */
  readonly stored: string;
  readonly fleet: FleetState;
}

/** The lease of the one process of the fleet that sends, and the state that goes with it. */
export function createLease(redis: RedisClient, keys: Keys, processId: string, leaseMs = LEASE_MS) {
  const ask = (op: string, more: object): Promise<unknown> =>
    askScript(redis, leaseScript, keys, { op, id: processId, format: FORMAT, ...more });
  return {
    /** Takes or keeps the lease; undefined when another process has it. */
    async claim(): Promise<Claimed | undefined> {
      const reply = (await ask('claim', { leaseMs })) as ['theirs'] | ['yours', number, string, string[]];
      if (reply[0] === 'theirs') return undefined;
      const [, kept, stored, hold] = reply;
      return { isKept: kept === 1, stored, fleet: readFleetState(fieldsOf(hold)) };
    },
    /** Stores the state; false when another process has become the sender, and then nothing is stored. */
    save: async (state: string): Promise<boolean> => (await ask('save', { state })) === 1,
    /** Stores the state and gives the lease back. */
    release: async (state: string): Promise<boolean> => (await ask('release', { state })) === 1,
  };
}
