import { findStrayStreams, shownName, streamFault } from '../producer/stream-check.ts';
import type { AppRedis } from '../redis/keys.ts';
import type { Logger } from './log.ts';

const SHOWN = 5;

/**
 * Says once, at a worker's start, that the stream takes no events, or that events lie under a name that no
 * worker reads. What the Redis user may not look at is left to the doctor. Never rejects.
 */
export async function logStreamTrouble(app: AppRedis, log: Logger): Promise<void> {
  const unseen = (error: Error): undefined => {
    log.debug({ reason: error.message }, 'the stream was not looked at');
  };
  const fault = await streamFault(app).catch(unseen);
  if (fault !== undefined) log.error(`${fault.text}. ${fault.todo}`);
  const { streams = [] } = (await findStrayStreams(app).catch(unseen)) ?? {};
  if (streams.length > 0)
    log.warn(
      { streams: streams.slice(0, SHOWN).map(({ name }) => shownName(name)) },
      "streams have almost the intake's name, and no worker reads them: switch off the client's key prefix, or write the braces of the name (docs/produce.md)",
    );
}
