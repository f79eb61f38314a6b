import type { UserInput } from '../event/fields.ts';

export interface PlannedSignup {
  readonly user: UserInput;
  /** False: a client without checks sends it by XADD, because the producer would refuse it. */
  readonly checked: boolean;
}

/** What the demo does. It depends only on the number of signups. */
export interface DemoPlan {
  /** In order of arrival. */
  readonly signups: readonly PlannedSignup[];
  /** The time over which they arrive evenly, in ms. */
  readonly arrivalMs: number;
  /** When the app fault begins, in ms after the first arrival, and its duration. */
  readonly outage: { readonly fromMs: number; readonly lastsMs: number };
  /** Users by what the simulator or the validation does to them. */
  readonly trouble: Readonly<Record<Trouble, readonly string[]>>;
  /** Events of users who signed up shortly before, with another nick. */
  readonly repeats: number;
}

/**
 * - `forbidden`: an ID that no account may have
 * - `refused`: listed in FailAccounts every time; a call for it alone gets 70399
 * - `flaky`: listed in FailAccounts once
 * - `sensitive`: a nick for which the API refuses the whole call (40005)
 */
export type Trouble = 'forbidden' | 'refused' | 'flaky' | 'sensitive';

/** How many of a thousand signups, and the offset of the first, so that kinds rarely share a call. */
const SHARES: Readonly<Record<Trouble, { readonly perThousand: number; readonly at: number }>> = {
  forbidden: { perThousand: 0.5, at: 0.15 },
  refused: { perThousand: 0.5, at: 0.35 },
  flaky: { perThousand: 1, at: 0.55 },
  sensitive: { perThousand: 0.4, at: 0.75 },
};
const REPEATS_PER_THOUSAND = 10;
/** A repeat comes this many signups after the first event of its user. */
const REPEAT_AFTER = 40;

const SIGNUPS_PER_SECOND = 2_000;
const SHORTEST_ARRIVAL_MS = 4_000;
/** Probes start 1 s and 3 s into a hold. The second one finds that the API has recovered. */
const OUTAGE_MS = 2_500;

const NICKS = 'Ana Björn Chidi Defne Elif Noor Oleksii Priya Tuấn 李雷 韩梅梅 さくら'.split(' ');
/** The simulator refuses a nick that contains this word. */
export const SENSITIVE_WORD = 'casino';

export function planOf(signups: number): DemoPlan {
  const arrivalMs = Math.max(SHORTEST_ARRIVAL_MS, Math.round((1_000 * signups) / SIGNUPS_PER_SECOND));
  const kinds = new Map<number, Trouble | 'repeat'>();
  for (const [kind, { perThousand, at }] of Object.entries(SHARES) as [Trouble, typeof SHARES.flaky][]) {
    place(kinds, kind, Math.max(1, Math.round((signups * perThousand) / 1_000)), at, signups);
  }
  place(kinds, 'repeat', Math.round((signups * REPEATS_PER_THOUSAND) / 1_000), 0.95, signups);

  const trouble: Record<Trouble, string[]> = { forbidden: [], refused: [], flaky: [], sensitive: [] };
  let repeats = 0;
  const planned: PlannedSignup[] = [];
  for (let i = 0; i < signups; i++) {
    const kind = kinds.get(i);
    const before = planned[i - REPEAT_AFTER];
    if (kind === 'repeat' && before?.checked === true && kinds.get(i - REPEAT_AFTER) === undefined) {
      repeats++;
      planned.push({ user: { ...before.user, nick: `${before.user.nick} (new)` }, checked: true });
      continue;
    }
    const user = userOf(i, kind === 'sensitive');
    if (kind === undefined || kind === 'repeat') {
      planned.push({ user, checked: true });
    } else {
      const userId = kind === 'forbidden' ? forbiddenId(trouble.forbidden.length) : user.userId;
      trouble[kind].push(userId);
      planned.push({ user: { ...user, userId }, checked: kind !== 'forbidden' });
    }
  }
  const outage = { fromMs: Math.round(0.4 * arrivalMs), lastsMs: OUTAGE_MS };
  return { signups: planned, arrivalMs, outage, trouble, repeats };
}

/** Returns the scenario for the simulator. Its times count from the moment it is set. */
export function scenarioOf(plan: DemoPlan): object {
  const { outage, trouble } = plan;
  return {
    latencyMs: [15, 60],
    sensitiveWords: [SENSITIVE_WORD],
    badAccountsInBatch: { default: 'fail-accounts', byCode: { 40005: 'fail-call' } },
    rules: [
      {
        name: 'app fault',
        match: { fromMs: outage.fromMs, untilMs: outage.fromMs + outage.lastsMs },
        action: { errorCode: 70403, errorInfo: "the app admin's permission was withdrawn for a moment" },
      },
      { name: 'internal timeout', match: { rate: 0.01 }, action: { errorCode: 70169 } },
      { name: 'another internal timeout', match: { rate: 0.005 }, action: { errorCode: 70202 } },
      { name: 'internal error', match: { rate: 0.01 }, action: { errorCode: 70500 } },
      { name: 'gateway', match: { rate: 0.005 }, action: { httpStatus: 502 } },
      {
        name: 'recently deleted',
        match: { userIds: trouble.refused },
        action: { failAccounts: true, singleCode: 70399 },
      },
      {
        name: 'fails once',
        match: { userIds: trouble.flaky, timesPerAccount: 1 },
        action: { failAccounts: true },
      },
    ],
  };
}

/** Answers with a transient error. A call that gets one is retried. */
export const TRANSIENT_ANSWERS: readonly string[] = ['70169', '70202', '70500', 'http-502'];

function place(
  kinds: Map<number, Trouble | 'repeat'>,
  kind: Trouble | 'repeat',
  count: number,
  at: number,
  signups: number,
): void {
  for (let i = 0; i < count; i++) {
    let index = Math.floor(((i + at) * signups) / count);
    while (kinds.has(index % signups) && kinds.size < signups) index++;
    kinds.set(index % signups, kind);
  }
}

function userOf(index: number, sensitive: boolean): UserInput {
  const number = String(index + 1).padStart(6, '0');
  const nick = sensitive ? `Best ${SENSITIVE_WORD} ${number}` : `${NICKS[index % NICKS.length]} ${number}`;
  return { userId: `user-${number}`, nick, faceUrl: `https://pictures.example.com/${number}.png` };
}

/** Returns an ID as careless clients send it. There are four kinds in turn. */
function forbiddenId(n: number): string {
  const kinds = ['@TIM#', '0b7f9c1e-4d6a-4f7e-9c55-', '李雷-', 'two words '];
  return `${kinds[n % kinds.length]}${String(n + 1).padStart(12, '0')}`;
}
