import { type Outcome, readOutcome } from '../event/outcome.ts';
import { closeRedis, listenOn, type RedisClient, whenReady } from '../redis/connect.ts';

/** What became of an event while somebody waited for it. */
export type ImportOutcome =
  | Outcome
  /** Not known in time: the event is safe in Redis and will be worked off all the same. */
  | (Omit<Outcome, 'outcome' | 'reason'> & { readonly outcome: 'pending' });

/**
 * Where the outcomes of this process's events arrive: one connection and one private channel, whoever waits and
 * for how many. The connection is made when somebody waits and let go when nobody has for a while.
 *
 * A message is not kept by Redis. When nobody listened at its moment, settle keeps it for a minute in a list that
 * bears the channel's name (settle.lua); it is read as soon as the connection stands again, and every second
 * while somebody waits. What is missed all the same ends as `pending` at its time-out.
 */
export interface OutcomeInbox {
  /** What the events name as `replyTo`. */
  readonly channel: string;
  /** Listens from here on, so that no outcome comes too early. Rejects with the reason when it cannot. */
  expect(): Promise<Expectation>;
  /** Whoever waits hears `pending`. */
  close(): Promise<void>;
}

/** Open while events are being added: until `end`, outcomes of events whose ID is not known yet are kept. */
export interface Expectation {
  /** Never rejects; `pending` after `timeoutMs`. To be called before `end`. */
  outcomeOf(eventId: string, userId: string, timeoutMs: number): Promise<ImportOutcome>;
  end(): void;
}

const IDLE_MS = 30_000;
const LOOK_EVERY_MS = 1_000;

interface Waiter {
  readonly userId: string;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (outcome: ImportOutcome) => void;
}

export function createOutcomeInbox(options: {
  readonly channel: string;
  /** Opens the connection that listens. */
  readonly open: () => RedisClient;
  /** Reads what was missed. */
  readonly commands: RedisClient;
  readonly connectTimeoutMs: number;
  /** Events waited for at a time; those beyond are `pending` at once. */
  readonly maxWaiting: number;
  readonly idleMs?: number;
}): OutcomeInbox {
  const { channel, open, commands, connectTimeoutMs, maxWaiting, idleMs = IDLE_MS } = options;
  const waiting = new Map<string, Waiter>();
  /** Outcomes that came before the reply that names their event. */
  const early = new Map<string, Outcome>();
  let adding = 0;
  let listener: { readonly client: RedisClient; readonly listening: Promise<void> } | undefined;
  let idle: NodeJS.Timeout | undefined;
  let looking: NodeJS.Timeout | undefined;
  let closed = false;

  const hear = (message: string): void => {
    const outcome = readOutcome(message);
    if (outcome === undefined) return;
    const waiter = waiting.get(outcome.eventId);
    if (waiter !== undefined) finish(outcome.eventId, waiter, outcome);
    // Late, a repeat, or so early that its event has no name yet.
    else if (adding > 0) {
      early.set(outcome.eventId, outcome);
      const [oldest] = early.keys();
      if (early.size > maxWaiting && oldest !== undefined) early.delete(oldest);
    }
  };

  const finish = (eventId: string, waiter: Waiter, outcome: ImportOutcome): void => {
    clearTimeout(waiter.timer);
    waiting.delete(eventId);
    waiter.resolve(outcome);
    rest();
  };

  /** Nobody waits: lets go of the connection after a while. */
  const rest = (): void => {
    if (waiting.size > 0 || adding > 0) return;
    early.clear();
    clearInterval(looking);
    looking = undefined;
    clearTimeout(idle);
    idle = setTimeout(() => void letGo(), idleMs).unref();
  };

  const letGo = async (): Promise<void> => {
    clearTimeout(idle);
    clearInterval(looking);
    looking = undefined;
    const was = listener;
    listener = undefined;
    if (was !== undefined) await closeRedis(was.client);
  };

  /** What was said while nobody listened. A Redis that is away is asked again at the next look. */
  const lookForMissed = async (): Promise<void> => {
    try {
      const replies = await commands.multi().lrange(channel, 0, -1).del(channel).exec();
      for (const message of (replies?.[0]?.[1] as string[] | undefined) ?? []) hear(message);
    } catch {
      // Who waits has a time-out.
    }
  };

  const listen = (): Promise<void> => {
    if (listener !== undefined) return listener.listening;
    const client = open();
    let stands = false;
    client.on('message', (_channel: string, message: string) => hear(message));
    client.on('ready', () => {
      // The subscription comes back with the connection; asked for once more, its answer tells that it stands.
      if (stands) client.subscribe(channel).then(lookForMissed, () => undefined);
    });
    const listening = whenReady(client, connectTimeoutMs)
      .then(() => listenOn(client, channel))
      .then(() => {
        stands = true;
      });
    const made = { client, listening };
    listener = made;
    listening.catch(() => {
      if (listener === made) listener = undefined;
      client.disconnect();
    });
    return listening;
  };

  const wait = (eventId: string, userId: string, timeoutMs: number): Promise<ImportOutcome> => {
    const known = early.get(eventId);
    early.delete(eventId);
    if (known !== undefined) return Promise.resolve(known);
    const pending = { eventId, userId, outcome: 'pending', errorCode: 0, hasAccount: false } as const;
    if (closed || timeoutMs <= 0 || waiting.size >= maxWaiting) return Promise.resolve(pending);
    return new Promise((resolve) => {
      const timer = setTimeout(() => finish(eventId, waiter, pending), timeoutMs);
      const waiter: Waiter = { userId, timer, resolve };
      waiting.set(eventId, waiter);
      looking ??= setInterval(() => void lookForMissed(), LOOK_EVERY_MS);
    });
  };

  return {
    channel,
    async expect() {
      if (closed) throw new Error('it is closed');
      clearTimeout(idle);
      adding++;
      let ended = false;
      const end = (): void => {
        if (ended) return;
        ended = true;
        adding--;
        rest();
      };
      try {
        await listen();
      } catch (error) {
        end();
        throw error;
      }
      return { outcomeOf: wait, end };
    },
    async close() {
      closed = true;
      for (const [eventId, waiter] of [...waiting]) {
        const { userId } = waiter;
        finish(eventId, waiter, { eventId, userId, outcome: 'pending', errorCode: 0, hasAccount: false });
      }
      await letGo();
      clearTimeout(idle);
    },
  };
}
