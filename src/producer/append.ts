import type { RedisClient } from '../redis/connect.ts';

/**
 * All of a list or none of it: Redis refuses a full script at its first write. Stands here and not in a file of its
 * own, since an app loads the producer as CommonJS, too.
 * KEYS 1 stream; ARGV 1 JSON, [[field, value, ...], ...]. Answers the stream IDs in order.
 */
const APPEND = `
local ids = {}
for i, fields in ipairs(cjson.decode(ARGV[1])) do
  ids[i] = redis.call('XADD', KEYS[1], '*', unpack(fields))
end
return ids`;

/** Entries in one step of Redis's: it is kept from others for a millisecond, and works while the next is written. */
const STEP_ENTRIES = 250;
/** For fewer a command each is as good. */
const LIST_ENTRIES = 8;
/** How JSON writes half a surrogate pair, which Redis's reader refuses. Text that only looks like it does no harm. */
const HALF_A_PAIR = /\\ud[89a-f]/i;
/** What Redis adds to an error within a script. */
const WHERE_IN_THE_SCRIPT = /\.? script: [0-9a-f]{40}, on @user_script:\d+\.$/;

/** Writes events onto the stream, in the order in which it is asked to. */
export interface Appender {
  /**
   * `entries`: field, value, field, value ... of each. Resolves to a stream ID or Redis's error for each, in their
   * order. Rejects when the connection broke: then it is unknown which of them arrived.
   */
  append(entries: readonly (readonly string[])[]): Promise<(string | Error)[]>;
}

/**
 * A list goes as JSON to a script, 250 entries a step: a command for each costs its sender five times as much. A
 * Redis user who may run no scripts writes with a command each.
 */
export function createAppender(redis: RedisClient, stream: string): Appender {
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

  const byCommands = async (entries: readonly (readonly string[])[]): Promise<(string | Error)[]> => {
    const pipeline = redis.pipeline();
    for (const fields of entries) pipeline.xadd(stream, '*', ...fields);
    const replies = (await pipeline.exec()) ?? [];
    return entries.map((_, i) => {
      const [error, id] = replies[i] ?? [null, undefined];
      return error ?? idOf(id);
    });
  };

  const byScript = async (entries: readonly (readonly string[])[]): Promise<(string | Error)[]> => {
    const json = JSON.stringify(entries);
    if (HALF_A_PAIR.test(json)) return byCommands(entries);
    try {
      // Its text, not its hash: sent again because Redis forgot the hash, it would come after what was asked later.
      const ids = (await redis.eval(APPEND, 1, stream, json)) as unknown[];
      return entries.map((_, i) => idOf(ids[i]));
    } catch (error) {
      if (!isReply(error)) throw error;
      const refused = new Error(error.message.replace(WHERE_IN_THE_SCRIPT, ''));
      return entries.map(() => refused);
    }
  };

  return {
    async append(entries) {
      if (entries.length >= LIST_ENTRIES) scripts ??= mayRunScripts();
      // Whoever comes while this is found out waits as well, so that all stay in order.
      const scripted = scripts !== undefined && (await scripts);
      if (!scripted || entries.length < LIST_ENTRIES) return byCommands(entries);
      const steps: Promise<(string | Error)[]>[] = [];
      for (let from = 0; from < entries.length; from += STEP_ENTRIES) {
        steps.push(byScript(entries.slice(from, from + STEP_ENTRIES)));
      }
      return (await Promise.all(steps)).flat();
    },
  };
}

function idOf(id: unknown): string | Error {
  return typeof id === 'string' ? id : new Error('it gave no answer');
}

/** An error that Redis answered, as opposed to one of the connection. */
function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}
