import { randomUUID } from 'node:crypto';
import { type EventRules, isAbsent } from '../event/event.ts';
import { toFields, type UserInput } from '../event/fields.ts';
import { InvalidUserError } from '../event/invalid-user.ts';
import { activeTraceparent } from '../event/traceparent.ts';
import { validateUser } from '../event/validate.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import type { RedisSettings } from '../redis/options.ts';
import { type Expectation, type ImportOutcome, OutcomeInbox } from './outcome-inbox.ts';
import { streamFaultOf } from './stream-fault.ts';

/**
 * Redis did not accept the event: it is away, or it refused the event, for instance because its memory is
 * full. After a broken connection the event may have arrived. So add the user again: a repeat does no harm.
 *
 * @example
 * await producer.add(user).catch(async (error) => {
 *   if (error instanceof NotAcceptedError) await db.markForLater(user.userId);
 *   else throw error;
 * });
 */
export class NotAcceptedError extends Error {
  override readonly name = 'NotAcceptedError';
}

/**
 * The result of `addMany` for one user: the ID of the event, or the error.
 *
 * @example
 * for (const accepted of await producer.addMany(users)) {
 *   if (accepted.ok) console.log(accepted.eventId);
 *   else console.error(accepted.error.message);
 * }
 */
export type Accepted =
  | { readonly ok: true; readonly eventId: string }
  | { readonly ok: false; readonly error: InvalidUserError | NotAcceptedError };

/**
 * The result of `importMany` for one user. `outcome` resolves when it is known; it never rejects.
 *
 * @example
 * const [importing] = await producer.importMany([{ userId: 'alice' }]);
 * if (importing?.ok) console.log((await importing.outcome).hasAccount);
 */
export type Importing =
  | { readonly ok: true; readonly eventId: string; readonly outcome: Promise<ImportOutcome> }
  | { readonly ok: false; readonly error: InvalidUserError | NotAcceptedError };

type Refused = Extract<Accepted, { readonly ok: false }>;

/**
 * Options of `importUser` and `importMany`.
 *
 * @example
 * const options: WaitOptions = { timeoutMs: 2_000 };
 */
export interface WaitOptions {
  /** Longest wait for the outcome in ms, including the adding: 0 to 2147483647. Default: 5000. */
  readonly timeoutMs?: number;
}

/**
 * Options of {@link UserCreatedProducer}.
 *
 * @example
 * const options: ProducerOptions = {
 *   sdkAppId: 1400000000,
 *   redis: { url: 'rediss://backend@redis:6380/3', password: process.env.REDIS_PASSWORD ?? '' },
 *   onConnection: (state, reason) => console.warn(state, reason),
 * };
 */
export interface ProducerOptions {
  /** The app's SDKAppID: the number in the provider's console, and the workers' IMSYNC_SDK_APP_ID. */
  readonly sdkAppId: number;
  /** The user ID of the app's admin, which is refused as a user. Default: `administrator`. */
  readonly adminId?: string;
  /**
   * Where Redis is. Default: redis://127.0.0.1:6379. The URL may contain a password and a database, such as
   * `/3`. A producer never writes to another database: if Redis refuses it, events are rejected.
   */
  readonly redis?: Partial<RedisSettings>;
  /**
   * The workers' IMSYNC_API. If given, the producer refuses a robot (`type` 1) unless it is `legacy`, and
   * checks hosted mode's fields. If not, robots pass here, and workers of another form dead-letter them.
   */
  readonly api?: 'current' | 'legacy' | 'hosted';
  /** `true` means the same as `api: 'hosted'`. `api` wins over it. */
  readonly hosted?: boolean;
  /**
   * The workers' IMSYNC_ALLOW_ODD_IDS: user IDs such as `null` that are meant all the same, as exact IDs, as
   * kinds or as `all`. Default: none, and such users are refused.
   */
  readonly allowOddIds?: readonly string[];
  /** Longest wait for the first connection to Redis in ms. Default: 2000. */
  readonly connectTimeoutMs?: number;
  /**
   * Most events whose outcome is waited for at a time. Further ones are `pending` at once. Default: 20000.
   */
  readonly maxWaiting?: number;
  /** Called once when Redis is lost, with the reason, and once when it is back. */
  readonly onConnection?: (state: 'reachable' | 'lost', reason?: string) => void;
}

/** Users sent at a time: enough to be fast, few enough to limit the memory. */
const LIST_USERS = 1_000;
const OUTCOME_TIMEOUT_MS = 5_000;
/** The longest that a timer of Node can be. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Adds *user created* events to Redis, from where workers import the users. An accepted event is stored in
 * Redis; its `eventId` is the ID of the stream entry. Create one producer per process and share it.
 *
 * It validates each user before it sends, and it fails at once while Redis is away, so that you can answer
 * your own user. It keeps no queue in memory that a crash would lose.
 *
 * @example
 * const producer = new UserCreatedProducer({ sdkAppId: 1400000000, redis: { url: 'redis://redis:6379' } });
 * const eventId = await producer.add({ userId: 'alice', nick: 'Alice' });
 * // or, if the next step sends a message to the user:
 * const { hasAccount } = await producer.importUser({ userId: 'bob' }, { timeoutMs: 2_000 });
 * // when the process ends:
 * await producer.close();
 */
export class UserCreatedProducer {
  readonly #client: RedisClient;
  readonly #stream: string;
  readonly #rules: EventRules;
  readonly #connectTimeoutMs: number;
  readonly #inbox: OutcomeInbox;
  #lostReason = 'not connected yet';

  /**
   * Starts to connect to Redis. Throws a RangeError if `sdkAppId` is not a positive whole number, if `allowOddIds` is
   * no list, or if the Redis URL does not name a usable database.
   */
  constructor(options: ProducerOptions) {
    if (!Number.isSafeInteger(options.sdkAppId) || options.sdkAppId < 1) {
      throw new RangeError(
        `sdkAppId must be the app's SDKAppID, a positive whole number, not ${String(options.sdkAppId)}`,
      );
    }
    const keys = keysOf(options.sdkAppId);
    const form = options.api ?? (options.hosted === true ? 'hosted' : undefined);
    const { adminId = 'administrator', allowOddIds = [] } = options;
    if (!Array.isArray(allowOddIds))
      throw new RangeError("allowOddIds must be a list of user IDs or kinds of them, such as ['all']");
    this.#rules = { adminId, form, allowOddIds };
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
    this.#stream = keys.stream;
    this.#inbox = new OutcomeInbox({
      channel: keys.replyPrefix + randomUUID(),
      open: () => openRedis(settings, 'oneshot', 'outcomes', () => undefined),
      commands: this.#client,
      connectTimeoutMs: this.#connectTimeoutMs,
      maxWaiting: options.maxWaiting ?? 20_000,
    });
  }

  /**
   * Adds one user. Resolves to the `eventId` when Redis has stored the event.
   *
   * Rejects with {@link InvalidUserError} if the user is not valid: nothing was sent, and a repeat would fail
   * again. Rejects with {@link NotAcceptedError} if Redis is away or refuses the event: try again later.
   *
   * @example
   * try {
   *   await producer.add({ userId: 'alice', nick: 'Alice', faceUrl: 'https://example.com/a.png' });
   * } catch (error) {
   *   if (error instanceof InvalidUserError) console.error(error.problems);
   *   else await addLater('alice'); // NotAcceptedError: your own outbox or job
   * }
   */
  async add(user: UserInput): Promise<string> {
    const [accepted = NO_ANSWER] = await this.addMany([user]);
    if (!accepted.ok) throw accepted.error;
    return accepted.eventId;
  }

  /**
   * Adds a list of users. Resolves to one result per user, in their order; `error` is what `add` would reject
   * with. An invalid user does not affect the others. Never rejects.
   *
   * @example
   * const results = await producer.addMany(users);
   * const failed = users.filter((_, i) => !results[i]?.ok);
   */
  async addMany(users: readonly UserInput[]): Promise<Accepted[]> {
    return this.#addEntries(users.map((user) => entryOf(user, this.#rules)));
  }

  /**
   * Adds one user and waits until it is imported or refused. `hasAccount` of the outcome tells whether a
   * message can reach the user now. It is also true when a newer event of the user was imported
   * (`superseded`), and when the account was imported without its refused nick or picture (`dead-lettered`,
   * reason `profile`).
   *
   * Resolves to the outcome `pending` if nothing is known after `timeoutMs`. The event is stored then, and a
   * worker imports the user later: a hold, a backlog or a retry may take longer than your user waits.
   *
   * Rejects as `add` does; the event was not stored then, or after a broken connection this is unknown. Also
   * rejects with a RangeError if `timeoutMs` is out of range. `replyTo` must be absent.
   *
   * @example
   * const { outcome, hasAccount } = await producer.importUser({ userId: 'alice' }, { timeoutMs: 2_000 });
   * if (hasAccount) await sendWelcome('alice');
   * else if (outcome === 'pending') await welcomeLater('alice');
   */
  async importUser(user: UserInput, options: WaitOptions = {}): Promise<ImportOutcome> {
    const [importing = NO_ANSWER] = await this.importMany([user], options);
    if (!importing.ok) throw importing.error;
    return importing.outcome;
  }

  /**
   * Adds a list of users as `addMany` does. Resolves when Redis has answered for each user; then `outcome` of
   * each result resolves as that of `importUser`. Rejects only with a RangeError if `timeoutMs` is out of
   * range.
   *
   * @example
   * const importing = await producer.importMany(users, { timeoutMs: 2_000 });
   * const outcomes = await Promise.all(importing.map((one) => (one.ok ? one.outcome : undefined)));
   */
  async importMany(users: readonly UserInput[], options: WaitOptions = {}): Promise<Importing[]> {
    const { timeoutMs = OUTCOME_TIMEOUT_MS } = options;
    if (!(timeoutMs >= 0 && timeoutMs <= MAX_TIMEOUT_MS))
      throw new RangeError(`timeoutMs must be 0 to ${MAX_TIMEOUT_MS} milliseconds, not ${String(timeoutMs)}`);
    const untilMs = performance.now() + timeoutMs;
    const entries = users.map((user) => entryOf(user, this.#rules, this.#inbox.channel));
    const refused = entries.filter((entry): entry is Refused => !Array.isArray(entry));
    if (refused.length === entries.length) return refused;
    let expectation: Expectation;
    try {
      // It listens before it adds, so that no outcome comes too early.
      await this.#connected();
      expectation = await this.#inbox.expect();
    } catch (error) {
      const unheard = notAccepted(`its outcome cannot be listened for: ${(error as Error).message}`);
      return entries.map((entry) => (Array.isArray(entry) ? unheard : entry));
    }
    try {
      const accepted = await this.#addEntries(entries);
      return accepted.map((one, i): Importing => {
        if (!one.ok) return one;
        const userId = users[i]?.userId ?? '';
        const leftMs = untilMs - performance.now();
        return { ...one, outcome: expectation.outcomeOf(one.eventId, userId, leftMs) };
      });
    } finally {
      expectation.end();
    }
  }

  /**
   * Disconnects from Redis; accepted events stay stored. Calls that wait for an outcome resolve to `pending`.
   * Later calls fail with NotAcceptedError. Never rejects.
   */
  async close(): Promise<void> {
    await this.#inbox.close();
    await closeRedis(this.#client);
  }

  async #addEntries(entries: readonly Entry[]): Promise<Accepted[]> {
    const results: Accepted[] = [];
    for (let from = 0; from < entries.length; from += LIST_USERS) {
      const list = entries.slice(from, from + LIST_USERS);
      const added = await this.#send(list.filter((entry) => Array.isArray(entry)));
      for (const entry of list) results.push(Array.isArray(entry) ? (added.shift() ?? NO_ANSWER) : entry);
    }
    return results;
  }

  /** Sends one command per entry in one write. If the connection breaks, any of them may have arrived. */
  async #send(entries: readonly string[][]): Promise<Accepted[]> {
    if (entries.length === 0) return [];
    try {
      await this.#connected();
      const pipeline = this.#client.pipeline();
      for (const fields of entries) pipeline.xadd(this.#stream, '*', ...fields);
      const replies = (await pipeline.exec()) ?? [];
      return replies.map(([error, eventId]) =>
        error === null ? { ok: true, eventId: String(eventId) } : notAccepted(error.message, this.#stream),
      );
    } catch (error) {
      const refused = notAccepted((error as Error).message);
      return entries.map(() => refused);
    }
  }

  /** Waits for the first connection. Rejects at once if an earlier connection was lost. */
  async #connected(): Promise<void> {
    const { status } = this.#client;
    if (status === 'ready') return;
    if (status === 'reconnecting' || status === 'close' || status === 'end')
      throw new Error(this.#lostReason);
    await whenReady(this.#client, this.#connectTimeoutMs);
  }
}

/** The fields of a valid user, or why it is refused. */
type Entry = string[] | Refused;

/** `replyTo`: the channel on which the outcome is to be published. The user must not name one then. */
function entryOf(user: UserInput, rules: EventRules, replyTo?: string): Entry {
  const isUser = typeof user === 'object' && user !== null;
  const problems = isUser ? validateUser(user, rules) : ['a user must be an object with a userId'];
  if (replyTo !== undefined && !isAbsent(user?.replyTo))
    problems.push('replyTo is set by importUser itself: leave it out, or use add and listen yourself');
  if (problems.length > 0) return { ok: false, error: new InvalidUserError(problems) };
  const fields = toFields(replyTo === undefined ? user : { ...user, replyTo });
  const active = isAbsent(user.traceparent) ? activeTraceparent() : undefined;
  return active === undefined ? fields : [...fields, 'traceparent', active];
}

/** `stream`: its key, when Redis may have refused for something that is wrong with it. */
function notAccepted(reason: string, stream = ''): Refused {
  const fault = streamFaultOf(reason, stream);
  if (fault !== undefined) return { ok: false, error: new NotAcceptedError(`${fault.text}. ${fault.todo}.`) };
  const sentence = reason.replace(/\.$/, '');
  const message = `Redis did not take the event: ${sentence}. Try again; a repeat does no harm.`;
  return { ok: false, error: new NotAcceptedError(message) };
}

const NO_ANSWER = notAccepted('it gave no answer');
