import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';

const bodyLimitScript = loadScript(import.meta.url, 'body-limit.lua');

/**
 * The fleet's memory of how large a call's body may be: a gateway on the way may take less than the API. cut.lua cuts
 * calls below it while it stands.
 */
export interface BodyLimit {
  /** A body of so many bytes was refused for its size (HTTP 413). Never rejects, waits for nothing. */
  refused(bytes: number): void;
  /** Users failed together again and again, and all of them passed in smaller calls. */
  suspected(bytes: number): void;
}

const REFUSED_MS = 600_000;
/** It may have been something else: looked at again soon. */
const SUSPECTED_MS = 60_000;
/** A call of one user takes as much. */
const LEAST_BYTES = 1_024;

export function createBodyLimit(
  redis: RedisClient,
  keys: Keys,
  onTrouble: (error: Error) => void,
): BodyLimit {
  const halve = (bytes: number, forMs: number): void => {
    const limit = Math.max(LEAST_BYTES, Math.floor(bytes / 2));
    runScript(redis, bodyLimitScript, [keys.bodyLimit], [limit, forMs]).catch(onTrouble);
  };
  return {
    refused: (bytes) => halve(bytes, REFUSED_MS),
    suspected: (bytes) => halve(bytes, SUSPECTED_MS),
  };
}
