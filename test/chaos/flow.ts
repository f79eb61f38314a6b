import { stickyFraction } from '../../simulator/randomness.ts';
import type { Rule, Scenario } from '../../simulator/scenario/scenario.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';

/** How an event must end if nothing newer of its user was imported; null: it can be imported. */
export type Fate = { readonly reason: string; readonly errorCode: number } | null;

/** An event as the flow made it. Nicks grow: the number in a nick is the order in which they were sent. */
export interface Sent {
  readonly seq: number;
  /** '' when it claims nobody. */
  readonly userId: string;
  readonly nick: string;
  readonly fate: Fate;
  /** '' when Redis did not acknowledge it, though it may have it. */
  readonly eventId: string;
}

export const CHANNEL = 'chaos-outcomes';
const SIM_SEED = 1;
const BAD_SHARE = 0.01;
const TRANSIENT = [70169, 70202, 70500, 40006];

/** 10 % transient answers; 1 % of the users are refused for good, others come back in FailAccounts once. */
export const CALM: Scenario = {
  latencyMs: [10, 80],
  badAccountsInBatch: { default: 'fail-accounts', byCode: { 70402: 'fail-call' } },
  emptyFailAccounts: 'rotating',
  rules: [
    ...TRANSIENT.map((errorCode): Rule => ({ match: { rate: 0.026 }, action: { errorCode } })),
    {
      name: 'bad',
      match: { userIdPattern: '^u', ratePerAccount: BAD_SHARE, sticky: true },
      action: { accountCode: 70402 },
    },
    {
      match: { command: 'multiaccount_import', userIdPattern: '^flaky', timesPerAccount: 1 },
      action: { failAccounts: true },
    },
    { match: { command: 'multiaccount_import', userIdPattern: '^stubborn' }, action: { failAccounts: true } },
  ],
};

/** Events of users who share them, at a rate, until stopped. */
export interface Flow {
  rate(eventsPerSecond: number): void;
  /** So many at once, besides the flow. */
  burst(events: number): Promise<void>;
  /** An event of the row's own making, acknowledged; checked at the end like all others. */
  push(userId: string, nick: string, fields: readonly (string | Buffer)[], fate: Fate): Promise<string>;
  stop(): Promise<void>;
  readonly acknowledged: readonly Sent[];
  /** Redis did not say whether it took them. */
  readonly unsure: readonly Sent[];
  /** Refused by Redis in words: not accepted. */
  readonly refused: number;
}

const TICK_MS = 50;

/** `client` must fail fast while Redis is away, so that the flow goes on. */
export function startFlow(
  client: RedisClient,
  keys: Keys,
  random: () => number,
  eventsPerSecond: number,
): Flow {
  const acknowledged: Sent[] = [];
  const unsure: Sent[] = [];
  let refused = 0;
  let seq = 0;
  let perSecond = eventsPerSecond;
  let owed = 0;
  let stopped = false;
  const below = (n: number): number => Math.floor(random() * n);

  type Made = { readonly sent: Sent; readonly fields: readonly (string | Buffer)[] };
  const event = (userId: string, nick: string, fate: Fate, ...more: string[]): Made => ({
    sent: { seq, userId, nick, fate, eventId: '' },
    fields: [...(userId === '' ? [] : ['userId', userId]), 'nick', nick, 'replyTo', CHANNEL, ...more],
  });
  const make = (): Made => {
    seq++;
    const nick = `n-${seq}`;
    const lot = random();
    if (lot < 0.005) return event('', nick, { reason: 'invalid', errorCode: 0 });
    if (lot < 0.01) return event(`u${below(5_000)}`, nick, { reason: 'invalid', errorCode: 0 }, 'type', '7');
    if (lot < 0.015)
      return event(`robot-${below(50)}`, nick, { reason: 'invalid', errorCode: 0 }, 'type', '1');
    if (lot < 0.04) return event(`flaky-${below(200)}`, nick, null);
    if (lot < 0.045) return event(`stubborn-${below(50)}`, nick, null);
    if (lot < 0.35) return event(`hot-${below(60)}`, nick, null);
    const userId = `u${below(5_000)}`;
    return event(userId, nick, isBad(userId) ? { reason: 'rejected', errorCode: 70402 } : null);
  };

  // One batch after the other, so that the order in which they are sent is the order of their IDs.
  let line: Promise<unknown> = Promise.resolve();
  const send = (makeAll: () => readonly Made[]): Promise<string[]> => {
    const sending = line.then(async () => {
      const all = makeAll();
      if (all.length === 0) return [];
      const pipeline = client.pipeline();
      for (const { fields } of all) pipeline.xadd(keys.stream, '*', ...fields);
      const replies = await pipeline
        .exec()
        .catch((error: Error) => all.map(() => [error, undefined] as const));
      return all.map(({ sent }, i) => {
        const [error, eventId] = replies?.[i] ?? [new Error('no answer'), undefined];
        if (error === null && typeof eventId === 'string') acknowledged.push({ ...sent, eventId });
        else if (error?.name === 'ReplyError') refused++;
        else unsure.push(sent);
        return String(eventId ?? '');
      });
    });
    line = sending.catch(() => undefined);
    return sending;
  };

  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    // A stalled harness does not make up for it in one blow.
    owed += (perSecond * Math.min(nowMs - lastMs, 4 * TICK_MS)) / 1000;
    lastMs = nowMs;
    const count = Math.floor(owed);
    owed -= count;
    if (count > 0) void send(() => Array.from({ length: count }, make));
  }, TICK_MS);

  return {
    rate(eventsNow) {
      perSecond = eventsNow;
    },
    async burst(events) {
      for (let left = events; left > 0; left -= 500)
        await send(() => Array.from({ length: Math.min(left, 500) }, make));
    },
    async push(userId, nick, fields, fate) {
      const [eventId] = await send(() => [
        { sent: { seq: ++seq, userId, nick, fate, eventId: '' }, fields: [...fields, 'replyTo', CHANNEL] },
      ]);
      if (!eventId) throw new Error(`the event of ${userId || 'nobody'} was not acknowledged`);
      return eventId;
    },
    async stop() {
      if (!stopped) clearInterval(timer);
      stopped = true;
      await line;
    },
    acknowledged,
    unsure,
    get refused() {
      return refused;
    },
  };
}

function isBad(userId: string): boolean {
  return stickyFraction(SIM_SEED, 'bad', userId) < BAD_SHARE;
}
