import { type Outcome, readOutcome } from '../event/event.ts';
import { closeRedis, listenOn, type RedisClient, whenReady } from '../redis/connect.ts';

/**
 * How an event ended. `pending` means that this was not known in time: the event is safe in Redis, and a
 * worker will import it later.
 *
 * @example
 * const { outcome, hasAccount }: ImportOutcome = await producer.importUser({ userId: 'alice' });
 */
export type ImportOutcome = Outcome | (Omit<Outcome, 'outcome' | 'reason'> & { readonly outcome: 'pending' });

export interface OutcomeInboxOptions {
  /** The private channel of this process. Its events name it as `replyTo`. */
  readonly channel: string;
  /** Opens the connection that listens. */
  readonly open: () => RedisClient;
  /** The connection that reads missed outcomes. */
  readonly commands: RedisClient;
  readonly connectTimeoutMs: number;
  /** Most events waited for at a time. A further one is `pending` at once. */
  readonly maxWaiting: number;
}

/** Open while events are added. Until `end`, outcomes of event IDs that are not known yet are kept. */
export interface Expectation {
  /** Resolves to `pending` after `timeoutMs`. Never rejects. Call it before `end`. */
  outcomeOf(eventId: string, userId: string, timeoutMs: number): Promise<ImportOutcome>;
  end(): void;
}

interface Waiter {
  readonly userId: string;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (outcome: ImportOutcome) => void;
}

const LOOK_EVERY_MS = 1_000;

/**
 * Receives the outcomes of this process's events on one connection and one private channel, for all waiters.
 * It connects when someone waits for the first time.
 *
 * Redis does not keep published messages. If nobody listens at that moment, settle keeps the outcome for a
 * minute in a list with the channel's name (settle.lua). The inbox reads the list every second while someone
 * waits. One that is missed even so ends as `pending`.
 */
export class OutcomeInbox {
  readonly channel: string;
  readonly #options: OutcomeInboxOptions;
  readonly #waiting = new Map<string, Waiter>();
  /** Outcomes that came before the reply of XADD with the ID of their event. */
  readonly #unclaimed = new Map<string, Outcome>();
  #adding = 0;
  #listener: { readonly client: RedisClient; readonly listening: Promise<void> } | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: OutcomeInboxOptions) {
    this.#options = options;
    this.channel = options.channel;
  }

  /** Starts to listen, so that no outcome comes too early. Rejects with the reason if it cannot listen. */
  async expect(): Promise<Expectation> {
    if (this.#isClosed) throw new Error('it is closed');
    await this.#listen();
    this.#adding++;
    return {
      outcomeOf: (eventId, userId, timeoutMs) => this.#wait(eventId, userId, timeoutMs),
      end: () => {
        this.#adding--;
        this.#whenIdle();
      },
    };
  }

  /** Resolves every waiter to `pending` and disconnects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const [eventId, waiter] of [...this.#waiting])
      this.#finish(eventId, waiter, pending(eventId, waiter.userId));
    if (this.#listener !== undefined) await closeRedis(this.#listener.client);
  }

  #wait(eventId: string, userId: string, timeoutMs: number): Promise<ImportOutcome> {
    const known = this.#unclaimed.get(eventId);
    this.#unclaimed.delete(eventId);
    if (known !== undefined) return Promise.resolve(known);
    const isFull = this.#waiting.size >= this.#options.maxWaiting;
    if (this.#isClosed || timeoutMs <= 0 || isFull) return Promise.resolve(pending(eventId, userId));
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#finish(eventId, waiter, pending(eventId, userId)), timeoutMs);
      const waiter: Waiter = { userId, timer, resolve };
      this.#waiting.set(eventId, waiter);
      this.#lookTimer ??= setInterval(() => void this.#readMissed(), LOOK_EVERY_MS);
    });
  }

  #receive(message: string): void {
    const outcome = readOutcome(message);
    if (outcome === undefined) return;
    const waiter = this.#waiting.get(outcome.eventId);
    if (waiter !== undefined) this.#finish(outcome.eventId, waiter, outcome);
    // The outcome is late or a repeat, or it is so early that the ID of its event is not known yet.
    else if (this.#adding > 0) {
      this.#unclaimed.set(outcome.eventId, outcome);
      const [oldest] = this.#unclaimed.keys();
      if (this.#unclaimed.size > this.#options.maxWaiting && oldest !== undefined)
        this.#unclaimed.delete(oldest);
    }
  }

  #finish(eventId: string, waiter: Waiter, outcome: ImportOutcome): void {
    clearTimeout(waiter.timer);
    this.#waiting.delete(eventId);
    waiter.resolve(outcome);
    this.#whenIdle();
  }

  #whenIdle(): void {
    if (this.#waiting.size > 0) return;
    clearInterval(this.#lookTimer);
    this.#lookTimer = undefined;
    if (this.#adding === 0) this.#unclaimed.clear();
  }

  /** Reads outcomes published while nobody listened. If Redis is away, the next look tries again. */
  async #readMissed(): Promise<void> {
    const { commands } = this.#options;
    try {
      const replies = await commands.multi().lrange(this.channel, 0, -1).del(this.channel).exec();
      for (const message of (replies?.[0]?.[1] as string[] | undefined) ?? []) this.#receive(message);
    } catch {
      // Each waiter has a time-out.
    }
  }

  #listen(): Promise<void> {
    if (this.#listener !== undefined) return this.#listener.listening;
    const client = this.#options.open();
    client.on('message', (_channel: string, message: string) => this.#receive(message));
    const listening = whenReady(client, this.#options.connectTimeoutMs).then(() =>
      listenOn(client, this.channel),
    );
    this.#listener = { client, listening };
    listening.catch(() => {
      this.#listener = undefined;
      client.disconnect();
    });
    return listening;
  }
}

function pending(eventId: string, userId: string): ImportOutcome {
  return { eventId, userId, outcome: 'pending', errorCode: 0, hasAccount: false };
}
