import { eventIdMs } from '../event/event.ts';
import type { AppRedis } from '../redis/keys.ts';
import { ownerScan, ownerTimeMs } from '../redis/owner.ts';
import { fieldsOf } from '../redis/script.ts';
import { type StreamFault, streamFaultOf } from './stream-fault.ts';

/** Whether events can reach the workers: the stream takes them, and nobody writes them beside it. */

/** Keys that one look goes through at most, and in one step. A step takes Redis about half a millisecond. */
const MOST_STEPS = 200;
const STEP_KEYS = 1_000;
/** IDs with a time so far ahead were given by a producer, in the place of `*`. */
const AHEAD_MS = 86_400_000;

/** A stream that looks like the intake under another name. No worker reads it. */
export interface StrayStream {
  /** As Redis has it. It is text from elsewhere. */
  readonly name: string;
  /** Undefined when the Redis user may not read it. */
  readonly events: number | undefined;
}

/**
 * Looks for streams whose names are the intake's with something around it, such as `laravel_database_` before
 * it, or without its braces. Looks through 200,000 keys at most; `isWhole` tells whether those were all.
 * Rejects with Redis's error, for instance when its ACL forbids SCAN.
 */
export async function findStrayStreams({
  redis,
  keys,
}: AppRedis): Promise<{ streams: StrayStream[]; isWhole: boolean }> {
  const [app = ''] = /imsync:\d+/.exec(keys.stream) ?? [];
  const ofApp = new RegExp(`${app}(?!\\d)`);
  const names = new Set<string>();
  let cursor = '0';
  for (let step = 0; step < MOST_STEPS; step++) {
    const request = { cursor, match: `*${app}*user-created*`, count: STEP_KEYS, type: 'stream' };
    const answer = await ownerScan(redis, keys, request);
    for (const name of answer.found) if (name !== keys.stream && ofApp.test(name)) names.add(name);
    cursor = answer.cursor;
    if (cursor === '0') break;
  }
  const streams = [...names].map(async (name) => {
    const events = await redis.xlen(name).catch(() => undefined);
    return { name, events };
  });
  return { streams: await Promise.all(streams), isWhole: cursor === '0' };
}

/** The name of a key from elsewhere as it may be shown: escaped, and cut. */
export function shownName(name: string): string {
  const shown = JSON.stringify(name);
  return shown.length > 120 ? `${shown.slice(0, 120)}…` : shown;
}

/** What is wrong with the stream. Rejects with Redis's error, for instance when its ACL forbids XINFO. */
export async function streamFault({ redis, keys }: AppRedis): Promise<StreamFault | undefined> {
  try {
    // A Redis user who may not ask XINFO hears of a wrong type all the same.
    await redis.xlen(keys.stream);
    const info = fieldsOf<{ 'last-generated-id': string }>(await redis.xinfo('STREAM', keys.stream));
    const lastId = info['last-generated-id'];
    if (lastId === '18446744073709551615-18446744073709551615')
      return streamFaultOf('exhausted', keys.stream);
    const aheadMs = eventIdMs(lastId) - (await ownerTimeMs(redis, keys));
    if (aheadMs <= AHEAD_MS) return undefined;
    return {
      text: `The newest ID of the stream ${keys.stream} is ${Math.round(aheadMs / 86_400_000)} days ahead of Redis's clock`,
      todo: 'A producer gives IDs of its own: have it write * in their place. The ages of events and their latency are wrong until then',
    };
  } catch (error) {
    const { message } = error as Error;
    if (/no such key/i.test(message)) return undefined;
    const fault = streamFaultOf(message, keys.stream);
    if (fault === undefined) throw error;
    return fault;
  }
}
