import type { UserInput } from '../../event/fields.ts';

/** What the demo does. It depends only on the number of signups. */
export type DemoPlan = ReturnType<typeof planOf>;

/**
 * - `flaky`: listed in FailAccounts once
 * - `forbidden`: an ID that no account may have
 * - `refused`: listed in FailAccounts every time; a call for it alone gets 70399
 * - `sensitive`: a nick for which the API refuses the whole call (40005)
 */
export type Trouble = 'flaky' | 'forbidden' | 'refused' | 'sensitive';

/** One signup in `every` is of this kind. `at` is its place among them, so that kinds rarely share a call. */
const TROUBLES: readonly { readonly kind: Trouble; readonly every: number; readonly at: number }[] = [
  { kind: 'flaky', every: 1_000, at: 0.55 },
  { kind: 'forbidden', every: 2_000, at: 0.15 },
  { kind: 'refused', every: 2_000, at: 0.35 },
  { kind: 'sensitive', every: 2_500, at: 0.75 },
];
/** One signup in a hundred is a repeat. It comes 40 signups after the first event of its user. */
const REPEAT = { every: 100, at: 95, after: 40 } as const;

const SIGNUPS_PER_SECOND = 2_000;
const SHORTEST_ARRIVAL_MS = 4_000;
/** Probes start 1 s and 3 s into a hold. The second one finds that the API has recovered. */
const OUTAGE_MS = 2_500;

const NICKS = 'Ana Björn Chidi Defne Elif Noor Oleksii Priya Tuấn 李雷 韩梅梅 さくら'.split(' ');
/** The simulator refuses a nick that contains this word. */
export const SENSITIVE_WORD = 'casino';

export function planOf(count: number) {
  const arrivalMs = Math.max(SHORTEST_ARRIVAL_MS, Math.round((1_000 * count) / SIGNUPS_PER_SECOND));
  const trouble: Record<Trouble, string[]> = { flaky: [], forbidden: [], refused: [], sensitive: [] };
  let repeats = 0;
  const signups: UserInput[] = [];
  for (let i = 0; i < count; i++) {
    const first = i % REPEAT.every === REPEAT.at ? signups[i - REPEAT.after] : undefined;
    if (first !== undefined) {
      repeats++;
      signups.push({ ...first, nick: `${first.nick} (new)` });
      continue;
    }
    const kind = troubleOf(i, count);
    const number = String(i + 1).padStart(6, '0');
    const nick = kind === 'sensitive' ? `Best ${SENSITIVE_WORD}` : NICKS[i % NICKS.length];
    const userId = kind === 'forbidden' ? forbiddenId(trouble.forbidden.length) : `user-${number}`;
    if (kind !== undefined) trouble[kind].push(userId);
    const faceUrl = `https://pictures.example.com/${number}.png`;
    signups.push({ userId, nick: `${nick} ${number}`, faceUrl });
  }
  return {
    /** In order of arrival. */
    signups,
    /** The time over which they arrive evenly. */
    arrivalMs,
    /** When the app fault begins, counted from the first arrival, and its duration. */
    outage: { fromMs: Math.round(0.4 * arrivalMs), lastsMs: OUTAGE_MS },
    /** Users by what the simulator or the validation does to them. */
    trouble,
    /** Events of users who signed up shortly before, with another nick. */
    repeats,
  };
}

/** With few signups there is still one of each kind. */
function troubleOf(index: number, count: number): Trouble | undefined {
  return TROUBLES.find(({ every, at }) => {
    const period = Math.min(every, count);
    return index % period === Math.floor(at * period);
  })?.kind;
}

/** Returns an ID as careless clients send it. There are four kinds in turn. */
function forbiddenId(n: number): string {
  const kinds = ['@TIM#', '0b7f9c1e-4d6a-4f7e-9c55-', '李雷-', 'two words '];
  return `${kinds[n % kinds.length]}${String(n + 1).padStart(12, '0')}`;
}

/** Returns the scenario for the simulator. Its times count from the moment it is set. */
export function scenarioOf({ outage, trouble }: DemoPlan): object {
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
