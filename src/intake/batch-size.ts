import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { askScript, loadScript } from '../redis/script.ts';

const batchSizeScript = loadScript(import.meta.url, 'batch-size.lua');

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
  readonly #note: (request: object) => Promise<unknown>;
  /** Share of refused users in the fleet, by the last answer. */
  #share = 0;
  /** Not told yet. */
  #users = 0;
  #found = 0;

  constructor(redis: RedisClient, keys: Keys, onTrouble: (error: Error) => void) {
    this.#note = (request) => askScript(redis, batchSizeScript, keys, request).catch(onTrouble);
    // Learns what other processes have told.
    void this.#tell();
  }

  /** Answers judged users. The innocent are told while the fleet knows of culprits. */
  saw(innocent: number, culprits: number): void {
    this.#users += innocent + culprits;
    this.#found += culprits;
    if (this.#found > 0 || this.#share > 0) void this.#tell();
  }

  /**
   * Users of a body of so many bytes all passed in smaller calls. `wasRefused`: it was refused for its size
   * (HTTP 413); else it failed again and again.
   */
  tooLarge(bytes: number, wasRefused: boolean): void {
    const bodyBytes = Math.max(LEAST_BYTES, Math.floor(bytes / 2));
    void this.#note({ bodyBytes, forMs: wasRefused ? REFUSED_MS : SUSPECTED_MS });
  }

  async #tell(): Promise<void> {
    const news = { users: this.#users, found: this.#found };
    this.#users = 0;
    this.#found = 0;
    const share = await this.#note(news);
    if (share !== undefined) this.#share = Number(share);
  }
}
