import { performance } from 'node:perf_hooks';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';

const batchSizeScript = loadScript(import.meta.url, 'batch-size.lua');

const ESTIMATE = {
  /** Users that the estimate looks back on. */
  windowUsers: 5_000,
  /** Innocent users assumed at the start: one bad batch must not shrink all others. */
  priorUsers: 300,
  forgetSeconds: 600,
  /** A smaller batch is hardly better than single calls, and more of them are needed to see things mend. */
  minSize: 10,
  maxSize: 100,
};
/** While there are culprits, the innocent are told this often; while there are none, never. */
const TELL_EVERY_MS = 500;

const REFUSED_MS = 600_000;
/** The cause may have been something else, so this limit is tried again soon. */
const SUSPECTED_MS = 60_000;
/** A call of one user takes as much. */
const LEAST_BYTES = 1_024;

/**
 * What the fleet knows of how large a call should be. cut.lua cuts by it.
 * - While many users are refused and their calls with them, a batch of 1/share users carries most
 *   (docs/decisions/0010).
 * - A gateway on the way may take smaller bodies than the API does.
 * No method rejects or waits: the notes are help only.
 */
export class BatchSize {
  readonly #redis: RedisClient;
  readonly #keys: readonly string[];
  readonly #onTrouble: (error: Error) => void;
  /** Share of refused users in the fleet, by the last answer. */
  #share = 0;
  /** Not told yet. */
  #users = 0;
  #found = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #isTelling = false;

  constructor(redis: RedisClient, keys: Keys, onTrouble: (error: Error) => void) {
    this.#redis = redis;
    this.#keys = [keys.culprits, keys.bodyLimit];
    this.#onTrouble = onTrouble;
    // Learns what other processes have told.
    void this.#tell();
  }

  /** Answers judged users. */
  saw(innocent: number, culprits: number): void {
    this.#users += innocent + culprits;
    this.#found += culprits;
    const isDue = this.#found > 0 || (this.#share > 0 && performance.now() - this.#toldAtMs >= TELL_EVERY_MS);
    if (isDue && !this.#isTelling) void this.#tell();
  }

  /** A body of so many bytes was refused for its size (HTTP 413). */
  refused(bytes: number): void {
    void this.#limitBody(bytes, REFUSED_MS);
  }

  /** Users failed together again and again, and all of them passed in smaller calls. */
  suspected(bytes: number): void {
    void this.#limitBody(bytes, SUSPECTED_MS);
  }

  async #tell(): Promise<void> {
    this.#isTelling = true;
    this.#toldAtMs = performance.now();
    const news = { users: this.#users, found: this.#found };
    this.#users = 0;
    this.#found = 0;
    const share = await this.#run({ ...news, ...ESTIMATE });
    if (share !== undefined) this.#share = Number(share);
    this.#isTelling = false;
    // What was seen meanwhile.
    if (this.#found > 0) void this.#tell();
  }

  #limitBody(bytes: number, forMs: number): Promise<unknown> {
    return this.#run({ bodyBytes: Math.max(LEAST_BYTES, Math.floor(bytes / 2)), forMs });
  }

  async #run(request: object): Promise<unknown> {
    try {
      return await runScript(this.#redis, batchSizeScript, this.#keys, [JSON.stringify(request)]);
    } catch (error) {
      this.#onTrouble(error as Error);
      return undefined;
    }
  }
}
