import fc from 'fast-check';
import type { ApiRequest } from '../../../src/delivery/policy/pending-user.ts';
import { bytesOf } from '../../../src/delivery/policy/split.ts';
import type { Answer } from '../../../src/im/answers.ts';
import type { DeadReason } from '../../../src/ledger/letters/dead-letters.ts';
import { commands } from './entries.ts';
import { type Api, FleetModel } from './fleet-model.ts';
import { createVirtualTime } from './virtual-time.ts';

/** What a fault answers. */
const KINDS = {
  '403 page': http(403),
  '70003 app': api(70003),
  '70500 retry': api(70500),
  '502 page': http(502),
  silence: { kind: 'fault', fault: 'timeout', errorInfo: '', sent: true },
  '429 page': http(429),
  '60007 throttle': api(60007),
  '79999 unlisted': api(79999),
  '70402 body': api(70402),
  '413 page': http(413),
  '40005 profile': api(40005),
} as const satisfies Readonly<Record<string, Answer>>;
export type Kind = keyof typeof KINDS;

/** They name the request as the cause: the worker believes them, whoever gets them. */
const NAMES_THE_CAUSE: readonly Kind[] = ['70402 body', '413 page', '40005 profile'];
/** Their fault may pass by itself: a culprit is tried for as long as an event may be. */
const MAY_PASS: readonly Kind[] = ['70500 retry', '502 page', 'silence', '429 page', '60007 throttle'];
const UNEXPLAINED = (Object.keys(KINDS) as Kind[]).filter((kind) => !NAMES_THE_CAUSE.includes(kind));

export interface UserFault {
  readonly kind: Kind;
  /** Which users, by number. */
  readonly users: readonly number[];
  /** The profile is the fault, or the account is. */
  readonly by: 'profile' | 'account';
}

export function namesTheCause(kind: Kind): boolean {
  return NAMES_THE_CAUSE.includes(kind);
}

/** One play: who signs up when, and what fails. */
export interface Play {
  readonly users: number;
  /** Between two of them; 0: all at once. */
  readonly gapMs: number;
  /** Between two of those who sign up later, for as long as the play lasts; 0: nobody does. */
  readonly signupsMs: number;
  readonly culprits: readonly UserFault[];
  /** Each call fails by chance. */
  readonly chance: { readonly kind: Kind; readonly p: number };
  /** Everybody fails for a while. */
  readonly window: { readonly kind: Kind; readonly fromMs: number; readonly forMs: number } | null;
  /** Bodies above so many bytes fail. */
  readonly size: { readonly kind: Kind; readonly bytes: number } | null;
  /** Of an answer, about. */
  readonly latencyMs: number;
  /** Chance and time hit the checks that probe a hold, too. */
  readonly hitsChecks: boolean;
  readonly seed: number;
}

export interface Letter {
  readonly reason: DeadReason;
  readonly atMs: number;
  /** There was nobody to compare with. */
  readonly isLone: boolean;
}

/** What became of a play. Times are ms since its beginning. */
export interface Played {
  readonly play: Play;
  readonly importedMs: ReadonlyMap<string, number>;
  readonly letters: ReadonlyMap<string, Letter>;
  readonly accounts: ReadonlySet<string>;
  readonly pushedMs: ReadonlyMap<string, number>;
  /** Every import call: when it started, whom it carried, and whether it failed. */
  readonly calls: readonly Call[];
  readonly holds: readonly { readonly fromMs: number; readonly toMs: number; readonly kind: string }[];
  readonly endMs: number;
}

export interface Call {
  readonly atMs: number;
  readonly users: readonly string[];
  readonly by: 'users' | 'size' | 'time' | 'chance' | 'nothing';
}

/** Redis's clock when a play begins. */
const BEGIN_MS = 1_000_000;
const SILENT_MS = 8_000;
const NICK = 'n'.repeat(40);

export const userOf = (n: number): string => `u${n}`;

/** `maxAgeMs`: how long an event may be tried. The play ends when every event has ended, or after `mostMs`. */
export async function playFaults(play: Play, maxAgeMs: number, mostMs: number): Promise<Played> {
  const random = randomFrom(play.seed);
  const time = createVirtualTime(BEGIN_MS);
  const importedMs = new Map<string, number>();
  const letters = new Map<string, Letter>();
  const accounts = new Set<string>();
  const pushedMs = new Map<string, number>();
  const calls: Call[] = [];
  const holds: { fromMs: number; toMs: number; kind: string }[] = [];
  const faultOf = new Map(play.culprits.flatMap((fault) => fault.users.map((n) => [userOf(n), fault])));
  const sinceMs = (): number => time.nowMs - BEGIN_MS;

  const causeOf = (request: ApiRequest | null): { by: Call['by']; kind?: Kind } => {
    const { window, size, chance, hitsChecks } = play;
    const now = sinceMs();
    if (request !== null) {
      for (const { userId, bare } of request.users) {
        const fault = faultOf.get(userId);
        if (fault !== undefined && (fault.by === 'account' || bare === null))
          return { by: 'users', kind: fault.kind };
      }
      if (size !== null && bytesOf(request, commands) > size.bytes) return { by: 'size', kind: size.kind };
    }
    if (request === null && !hitsChecks) return { by: 'nothing' };
    if (window !== null && now >= window.fromMs && now < window.fromMs + window.forMs)
      return { by: 'time', kind: window.kind };
    if (chance.p > 0 && random() < chance.p) return { by: 'chance', kind: chance.kind };
    return { by: 'nothing' };
  };

  const answer: Api = (request) => {
    const { by, kind } = causeOf(request);
    const durationMs = play.latencyMs * (0.5 + random());
    if (request !== null)
      calls.push({ atMs: sinceMs(), users: request.users.map(({ userId }) => userId), by });
    if (kind !== undefined)
      return { answer: KINDS[kind], durationMs: kind === 'silence' ? SILENT_MS : durationMs };
    for (const { userId } of request?.users ?? []) accounts.add(userId);
    return { answer: api(0), durationMs };
  };

  const fleet = new FleetModel({
    ...{ time, random, maxAgeMs, api: answer },
    onSettled({ imported, dead }, isLone) {
      for (const { userId } of imported) importedMs.set(userId, sinceMs());
      for (const { userId, reason } of dead) letters.set(userId, { reason, atMs: sinceMs(), isLone });
    },
    onHold(kind) {
      const last = holds.at(-1);
      if (last?.toMs === Number.POSITIVE_INFINITY) last.toMs = sinceMs();
      if (kind !== undefined) holds.push({ fromMs: sinceMs(), toMs: Number.POSITIVE_INFINITY, kind });
    },
  });
  const push = (n: number, atMs: number): void => {
    time.at(BEGIN_MS + atMs, () => {
      pushedMs.set(userOf(n), sinceMs());
      fleet.push({ eventId: `${time.nowMs}-${n}`, fields: ['userId', userOf(n), 'nick', NICK] });
    });
  };
  const { users, gapMs, signupsMs } = play;
  for (let n = 0; n < users; n++) push(n, n * gapMs);
  const isOver = (): boolean =>
    pushedMs.has(userOf(users - 1)) && importedMs.size + letters.size === pushedMs.size;
  const signUp = (n: number): void => {
    if (isOver()) return;
    push(n, sinceMs());
    time.at(time.nowMs + signupsMs, () => signUp(n + 1));
  };
  if (signupsMs > 0) time.at(BEGIN_MS + signupsMs, () => signUp(users));
  await time.run(BEGIN_MS + mostMs, isOver);
  return { play, importedMs, letters, accounts, pushedMs, calls, holds, endMs: sinceMs() };
}

export function mayPass(kind: Kind): boolean {
  return MAY_PASS.includes(kind);
}

const someUsers = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 400 }));
const oneFault = fc.record({
  kind: fc.constantFrom(...(Object.keys(KINDS) as Kind[])),
  by: fc.constantFrom('profile' as const, 'account' as const),
  share: fc.constantFrom(0, 0, 0, 0.01, 0.05),
});
const oneWindow = fc.record({
  kind: fc.constantFrom(...UNEXPLAINED),
  fromMs: fc.constantFrom(0, 0, 30, 2_000, 20_000),
  forMs: fc.integer({ min: 1, max: 30_000 }),
});
const oneSize = fc.record({
  kind: fc.constantFrom(...(Object.keys(KINDS) as Kind[])),
  bytes: fc.integer({ min: 300, max: 10_000 }),
});
const rarely = fc.record({ kind: fc.constantFrom(...UNEXPLAINED), p: fc.constantFrom(0, 0, 0.01) });
const common = {
  users: someUsers,
  gapMs: fc.constantFrom(0, 0, 1, 20, 500),
  signupsMs: fc.constantFrom(0, 500, 2_000, 10_000),
  latencyMs: fc.constantFrom(40, 2),
  hitsChecks: fc.boolean(),
  seed: fc.integer(),
};
const nothing = { faults: [], window: null, size: null, chance: { kind: '70500 retry', p: 0 } } as const;

/** One fault at a time: of users, of everybody for a while, of size, or of calls by chance. */
export const simplePlays: fc.Arbitrary<Play> = fc
  .record({
    ...common,
    fault: fc.oneof(
      { weight: 3, arbitrary: fc.record({ faults: fc.tuple(oneFault), chance: rarely }) },
      { weight: 1, arbitrary: fc.record({ window: oneWindow }) },
      { weight: 1, arbitrary: fc.record({ size: oneSize }) },
      { weight: 1, arbitrary: fc.record({ chance: rarely }) },
    ),
  })
  .map(({ fault, ...play }) => playOf({ ...nothing, ...play, ...fault }));

/** Any faults, all at the same time. No user has two faults of their own. */
export const anyPlays: fc.Arbitrary<Play> = fc
  .record({
    ...common,
    faults: fc.array(oneFault, { maxLength: 3 }),
    window: fc.option(oneWindow, { nil: null }),
    size: fc.option(oneSize, { nil: null, freq: 1 }),
    chance: rarely,
  })
  .map(playOf);

/**
 * Calls often fail by chance, with an answer that may pass by itself. An answer that says the app is wrong, or that nobody
 * knows, and that comes to every second call, is no chance: no worker could tell.
 */
export const roughPlays: fc.Arbitrary<Play> = fc
  .record({
    ...common,
    signupsMs: fc.constantFrom(0, 2_000, 10_000),
    faults: fc.array(
      oneFault.map((fault) => ({ ...fault, share: fault.share > 0.01 ? 0.01 : fault.share })),
      {
        maxLength: 1,
      },
    ),
    chance: fc.record({ kind: fc.constantFrom(...MAY_PASS), p: fc.constantFrom(0.1, 0.5) }),
  })
  .map((play) => playOf({ ...nothing, ...play }));

/** Everybody fails from the beginning on, and for longer than a play. */
export const everybodyPlays: fc.Arbitrary<Play> = fc
  .record({
    ...common,
    window: oneWindow.map(({ kind }) => ({ kind, fromMs: 0, forMs: 3_600_000 })),
    hitsChecks: fc.constant(true),
  })
  .map((play) => playOf({ ...nothing, ...play }));

type Drawn = Omit<Play, 'culprits'> & {
  readonly faults: readonly (Pick<UserFault, 'kind' | 'by'> & { readonly share: number })[];
};

function playOf({ faults, ...play }: Drawn): Play {
  const random = randomFrom(play.seed ^ 0x5bd1e995);
  const free = Array.from({ length: play.users }, (_, n) => n);
  const culprits = faults.map(({ kind, by, share }): UserFault => {
    const count = Math.min(free.length, Math.max(1, Math.round(share * play.users)));
    const users = Array.from({ length: count }, () =>
      Number(free.splice(Math.floor(random() * free.length), 1)[0]),
    );
    return { kind, by: kind === '40005 profile' ? 'profile' : by, users };
  });
  return { ...play, culprits: culprits.filter(({ users }) => users.length > 0) };
}

/** mulberry32: the same numbers from the same seed. */
function randomFrom(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function api(errorCode: number) {
  return { kind: 'api', httpStatus: 200, errorCode, errorInfo: '', failAccounts: [], body: {} } as const;
}

function http(httpStatus: number) {
  return { kind: 'http', httpStatus, errorInfo: `HTTP ${httpStatus}` } as const;
}
