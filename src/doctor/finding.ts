/**
 * One line of the doctor's report.
 * - `ok`: the check passed
 * - `wrong`: something must be changed, and `todo` says what
 * - `skipped`: the check was not made or has no clear result, and `text` says why
 * - `hint`: useful to know; nothing was checked
 */
export interface Finding {
  /** A stable name for programs, such as `redis.persistence` or `api.credentials`. */
  readonly name: string;
  readonly state: 'ok' | 'wrong' | 'skipped' | 'hint';
  readonly text: string;
  readonly todo?: string;
  /** For `wrong`: the cause that decides the exit code. */
  readonly cause?: 'configuration' | 'out-of-reach';
}

export function ok(name: string, text: string): Finding {
  return { name, state: 'ok', text };
}

export function wrong(name: string, text: string, todo: string, cause?: Finding['cause']): Finding {
  return { name, state: 'wrong', text, todo, ...(cause && { cause }) };
}

export function skipped(name: string, text: string, todo?: string): Finding {
  return { name, state: 'skipped', text, ...(todo !== undefined && { todo }) };
}

export function hint(name: string, text: string): Finding {
  return { name, state: 'hint', text };
}

/** The checks that need Redis or the API, with the words for one that was not made. */
const CHECKS = {
  redis: {
    'redis.database': "Redis's database was",
    'redis.version': "Redis's version was",
    'redis.role': "Redis's role was",
    'redis.policy': "Redis's policy was",
    'redis.persistence': "Redis's persistence was",
    'redis.memory': "Redis's memory was",
    'redis.clock': "Redis's clock was",
    stream: 'The stream was',
    'stream.name': 'Streams of similar names were',
  },
  database: {
    'database.reachable': 'The database was',
    'database.outbox': 'The outbox was',
  },
  fleet: {
    workers: 'The workers were',
    hold: 'A hold was',
    pause: 'A pause was',
    suspects: 'Failing calls were',
    odd: 'Events that look odd were',
  },
  api: {
    'api.reachable': 'The API was',
    'api.region': "The app's region was",
    'api.credentials': 'The credentials were',
    'api.clock': "The API's clock was",
  },
};

/** The findings about checks that were not made. `why` is a clause. */
export function notChecked(of: keyof typeof CHECKS, why: string): Finding[] {
  return Object.entries(CHECKS[of]).map(([name, words]) => skipped(name, `${words} not checked: ${why}`));
}

/**
 * The verdict that decides the exit code. Wrong settings come first, because they may be the reason
 * why something is out of reach. What is out of reach comes second.
 */
export function verdictOfFindings(
  findings: readonly Finding[],
): 'well' | 'wrong' | NonNullable<Finding['cause']> {
  const bad = findings.filter(({ state }) => state === 'wrong');
  if (bad.some(({ cause }) => cause === 'configuration')) return 'configuration';
  if (bad.some(({ cause }) => cause === 'out-of-reach')) return 'out-of-reach';
  return bad.length > 0 ? 'wrong' : 'well';
}

const SIGNS: Readonly<Record<Finding['state'], string>> = { ok: '✓', wrong: '✗', skipped: '–', hint: '·' };

/** The report for a person: one line for each finding, and below it what to do. */
export function findingLines(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ state, text, todo }) => [
    `${SIGNS[state]} ${text}`,
    ...(todo === undefined ? [] : [`    → ${todo}`]),
  ]);
}

/** How far this machine's clock is ahead of another one: `whose`. Between the two bounds it does no harm. */
export function clockFinding(
  name: string,
  whose: string,
  aheadMs: number,
  bounds: { readonly agreesWithinMs: number; readonly wrongAfterMs: number; readonly todo: string },
): Finding {
  const off = Math.abs(aheadMs);
  if (off <= bounds.agreesWithinMs) return ok(name, `The clocks of ${whose} and this machine agree`);
  const text = `This machine's clock is ${duration(off)} ${aheadMs > 0 ? 'ahead of' : 'behind'} ${whose}'s`;
  return off > bounds.wrongAfterMs ? wrong(name, text, bounds.todo) : ok(name, `${text}, which does no harm`);
}

/** Such as `2.5 h`. The smallest unit is a second. */
export function duration(ms: number): string {
  const units: readonly (readonly [number, string])[] = [
    [86_400_000, 'days'],
    [3_600_000, 'h'],
    [60_000, 'min'],
  ];
  const [size, unit] = units.find(([unitMs]) => ms >= 2 * unitMs) ?? [1_000, 's'];
  return `${Math.round((10 * ms) / size) / 10} ${unit}`;
}
