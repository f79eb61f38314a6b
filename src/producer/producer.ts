import { randomUUID } from 'node:crypto';
import type { EventRules } from '../event/event.ts';
import { toFields, type UserInput } from '../event/fields.ts';
import { validateUser } from '../event/validate.ts';
import { closeRedis, openRedis, type RedisClient, type RedisSettings, whenReady } from '../redis/connect.ts';
import { type Keys, keysOf } from '../redis/keys.ts';
import { type Accepted, InvalidUserError, NotAcceptedError } from './accepted.ts';
import { type Appender, createAppender } from './append.ts';
import { type Importing, importUsers } from './import-users.ts';
import { createOutcomeInbox, type ImportOutcome, type OutcomeInbox } from './outcome-inbox.ts';

export interface WaitOptions {
  /** How long to wait for the outcome, adding included; 0 to 2147483647 ms, default 5000. */
  readonly timeoutMs?: number;
}

export interface ProducerOptions {
  /** The number that the console gave the app; the workers' IMSYNC_SDK_APP_ID. */
  readonly sdkAppId: number;
  /** The app's admin, which is never imported. Default `administrator`. */
  readonly adminId?: string;
  /**
   * Where Redis is; default redis://127.0.0.1:6379. A password may stand in the URL, and a database, as /3: events
   * land there or are rejected.
   */
  readonly redis?: Partial<RedisSettings>;
  /**
   * The workers' IMSYNC_API. A producer that is told refuses a robot (`type` 1) where the API has no Type for it. One that
   * is not lets robots pass; unless the workers run with `legacy`, they become dead letters `invalid`.
   */
  readonly api?: 'current' | 'legacy' | 'hosted';
  /** True when the workers run with IMSYNC_API=hosted: the same as `api: 'hosted'`. `api` goes before it. */
  readonly hosted?: boolean;
  /** How long the first event waits for the connection to stand; default 2000 ms. */
  readonly connectTimeoutMs?: number;
  /** Events whose outcome is waited for at a time, default 20000: what bounds the memory for them. */
  readonly maxWaiting?: number;
  /** Told when Redis is lost and when it is back. */
  readonly onConnection?: (state: 'reachable' | 'lost', reason?: string) => void;
}

/** Users on their way at a time: large enough to be quick, small enough to bound the memory. */
const LIST_USERS = 1_000;
const OUTCOME_TIMEOUT_MS = 5_000;

/**
 * Pushes *user created* events. It validates before it sends and fails at once while Redis is away, so that the
 * caller can answer its own user; it keeps no queue of its own that a crash would lose.
 *
 * An event that was accepted is durable in Redis: its `eventId` is the stream ID.
 */
export class UserCreatedProducer {
  readonly #client: RedisClient;
  readonly #keys: Keys;
  readonly #appender: Appender;
  readonly #rules: EventRules;
  readonly #connectTimeoutMs: number;
  readonly #inbox: OutcomeInbox;
  #lostReason = 'not connected yet';

  /** Throws a RangeError for an app ID that is none, and for a database that cannot be meant. */
  constructor(options: ProducerOptions) {
    if (!Number.isSafeInteger(options.sdkAppId) || options.sdkAppId < 1) {
      throw new RangeError(
        `sdkAppId must be the app's SDKAppID, a positive whole number, not ${String(options.sdkAppId)}`,
      );
    }
    this.#keys = keysOf(options.sdkAppId);
    const form = options.api ?? (options.hosted === true ? 'hosted' : undefined);
    this.#rules = { adminId: options.adminId ?? 'administrator', form };
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 2_000;
    const settings: RedisSettings = {
      url: 'redis://127.0.0.1:6379',
      mode: 'standalone',
      nodes: [],
      sentinelName: '',
      password: '',
      ca: '',
      ...options.redis,
    };
    this.#client = openRedis(settings, 'oneshot', 'producer', (change) => {
      if (change.state === 'lost') this.#lostReason = change.reason;
      options.onConnection?.(change.state, change.state === 'lost' ? change.reason : undefined);
    });
    this.#appender = createAppender(this.#client, this.#keys.stream);
    this.#inbox = createOutcomeInbox({
      channel: this.#keys.replyPrefix + randomUUID(),
      open: () => openRedis(settings, 'oneshot', 'outcomes', () => undefined),
      commands: this.#client,
      connectTimeoutMs: this.#connectTimeoutMs,
      maxWaiting: options.maxWaiting ?? 20_000,
    });
  }

  /**
   * Adds one user; resolves to the eventId once Redis has it. Rejects with InvalidUserError (says what is wrong)
   * or NotAcceptedError (Redis is away, or refused, e.g. out of memory).
   */
  async add(user: UserInput): Promise<string> {
    const [accepted] = await this.addMany([user]);
    if (accepted === undefined) throw new NotAcceptedError('no answer from Redis');
    if (!accepted.ok) throw accepted.error;
    return accepted.eventId;
  }

  /**
   * Adds a list: one answer for each user, in their order. A user that does not hold up keeps none of
   * the others back. Never rejects.
   */
  async addMany(users: readonly UserInput[]): Promise<Accepted[]> {
    const results: Accepted[] = [];
    for (let from = 0; from < users.length; from += LIST_USERS) {
      results.push(...(await this.#addChunk(users.slice(from, from + LIST_USERS))));
    }
    return results;
  }

  /**
   * Adds one user and waits for the outcome. `outcome.hasAccount` says whether a message can reach the user now:
   * also when a newer event of the user was imported (`superseded`), and when the account was imported without a
   * refused nick or picture (`dead-lettered`, reason `profile`).
   *
   * Not known after `timeoutMs`: resolves with outcome `pending`. The event is accepted then and will be worked
   * off; a hold, a backlog or a retry takes longer than a user waits. Rejects as `add` does: then nothing is
   * waiting to be imported (or, after a broken connection, it is unknown).
   */
  async importUser(user: UserInput, options: WaitOptions = {}): Promise<ImportOutcome> {
    const [importing] = await this.importMany([user], options);
    if (importing === undefined) throw new NotAcceptedError('no answer from Redis');
    if (!importing.ok) throw importing.error;
    return importing.outcome;
  }

  /**
   * The same for a list: resolves once Redis has answered for each, and every outcome comes when it is known.
   * Rejects only for a `timeoutMs` that is none.
   */
  async importMany(users: readonly UserInput[], options: WaitOptions = {}): Promise<Importing[]> {
    return importUsers(users, options.timeoutMs ?? OUTCOME_TIMEOUT_MS, {
      inbox: this.#inbox,
      reachable: () => this.#connected(),
      problemsOf: (user) => problemsOf(user, this.#rules),
      add: (valid) => this.addMany(valid),
    });
  }

  /** Lets go of Redis. Everything that was accepted stays accepted. */
  async close(): Promise<void> {
    await this.#inbox.close();
    await closeRedis(this.#client);
  }

  async #addChunk(users: readonly UserInput[]): Promise<Accepted[]> {
    const problems = users.map((user) => problemsOf(user, this.#rules));
    const valid = users.filter((_, i) => problems[i]?.length === 0);
    const replies = await this.#send(valid);
    let next = 0;
    return problems.map((found): Accepted => {
      if (found.length > 0) return { ok: false, error: new InvalidUserError(found) };
      const reply = replies[next++];
      return reply instanceof NotAcceptedError || reply === undefined
        ? { ok: false, error: reply ?? new NotAcceptedError('Redis gave no answer for this event') }
        : { ok: true, eventId: reply };
    });
  }

  async #send(users: readonly UserInput[]): Promise<(string | NotAcceptedError)[]> {
    if (users.length === 0) return [];
    // Made where one is needed: an error costs more than an event.
    const failed = (reason: string): NotAcceptedError[] => users.map(() => notAccepted(reason));
    try {
      await this.#connected();
    } catch (error) {
      return failed((error as Error).message);
    }
    const entries = users.map(toFields);
    try {
      const replies = await this.#appender.append(entries);
      return replies.map((reply) => (typeof reply === 'string' ? reply : notAccepted(reply.message)));
    } catch (error) {
      return failed((error as Error).message);
    }
  }

  /** Waits for a connection that is being made for the first time; one that was lost fails at once. */
  async #connected(): Promise<void> {
    const { status } = this.#client;
    if (status === 'ready') return;
    if (status === 'reconnecting' || status === 'close' || status === 'end')
      throw new Error(this.#lostReason);
    await whenReady(this.#client, this.#connectTimeoutMs);
  }
}

function notAccepted(reason: string): NotAcceptedError {
  return new NotAcceptedError(`Redis did not take the event: ${reason}. Try again; a repeat does no harm.`);
}

function problemsOf(user: UserInput, rules: EventRules): string[] {
  if (typeof user !== 'object' || user === null) return ['a user must be an object with a userId'];
  return validateUser(user, rules);
}
