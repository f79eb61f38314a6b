import type { RedisClient } from '../redis/connect.ts';

/**
 * Adds all entries or none: a full Redis refuses the script at its first write. It is no file of its own,
 * since an app may load the producer as CommonJS, where scripts are not found beside the module.
 *
 * KEYS 1 stream; ARGV 1 JSON, [[field, value, ...], ...]. Returns the stream IDs in order.
 */
const APPEND = `
local ids = {}
for i, fields in ipairs(cjson.decode(ARGV[1])) do
  ids[i] = redis.call('XADD', KEYS[1], '*', unpack(fields))
end
return ids`;

/** Entries per script call. It blocks Redis for about 1 ms, while the next call is being written. */
const STEP_ENTRIES = 250;
/** Shorter lists use one command per entry, which is as fast. */
const LIST_ENTRIES = 8;
/** Half a surrogate pair in JSON, which Redis's JSON reader refuses. A false match only costs speed. */
const HALF_A_PAIR = /\\ud[89a-f]/i;
/** The text that Redis appends to an error inside a script. */
const WHERE_IN_THE_SCRIPT = /\.? script: [0-9a-f]{40}, on @user_script:\d+\.$/;

/**
 * Adds entries to the stream, in the order of the calls. Each entry is field, value, field, value, … Resolves
 * to a stream ID or Redis's error per entry. Rejects if the connection breaks; then any may have arrived.
 */
export type Append = (entries: readonly (readonly string[])[]) => Promise<(string | Error)[]>;

/**
 * Sends lists as JSON to a script, 250 entries per call: one command per entry would cost the sender five
 * times as much CPU. If the Redis user may not run scripts, it sends one command per entry.
 */
export function createAppend(redis: RedisClient, stream: string): Append {
  let scripts: Promise<boolean> | undefined;

  const mayRunScripts = async (): Promise<boolean> => {
    try {
      await redis.eval(APPEND, 1, stream, '[]');
      return true;
    } catch (error) {
      if (/^(NOPERM|ERR unknown command)/.test((error as Error).message)) return false;
      scripts = undefined;
      throw error;
    }
  };

  const byCommands: Append = async (entries) => {
    const pipeline = redis.pipeline();
    for (const fields of entries) pipeline.xadd(stream, '*', ...fields);
    const replies = (await pipeline.exec()) ?? [];
    return entries.map((_, i) => {
      const [error, id] = replies[i] ?? [null, undefined];
      return error ?? idOf(id);
    });
  };

  const byScript: Append = async (entries) => {
    const json = JSON.stringify(entries);
    if (HALF_A_PAIR.test(json)) return byCommands(entries);
    try {
      // EVAL and not EVALSHA: a repeat after NOSCRIPT would arrive after entries that were added later.
      const ids = (await redis.eval(APPEND, 1, stream, json)) as unknown[];
      return entries.map((_, i) => idOf(ids[i]));
    } catch (error) {
      const { name, message } = error as Error;
      // An error of the connection, not an answer of Redis.
      if (name !== 'ReplyError') throw error;
      const refused = new Error(message.replace(WHERE_IN_THE_SCRIPT, ''));
      return entries.map(() => refused);
    }
  };

  return async (entries) => {
    if (entries.length >= LIST_ENTRIES) scripts ??= mayRunScripts();
    // Calls that come meanwhile wait as well, so that the order is kept.
    const scripted = scripts !== undefined && (await scripts);
    if (!scripted || entries.length < LIST_ENTRIES) return byCommands(entries);
    const steps: Promise<(string | Error)[]>[] = [];
    for (let from = 0; from < entries.length; from += STEP_ENTRIES)
      steps.push(byScript(entries.slice(from, from + STEP_ENTRIES)));
    return (await Promise.all(steps)).flat();
  };
}

function idOf(id: unknown): string | Error {
  return typeof id === 'string' ? id : new Error('Redis gave no answer');
}
