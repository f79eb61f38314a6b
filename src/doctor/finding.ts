/**
 * One line of the doctor's report.
 * - `ok`: as it should be
 * - `wrong`: must be changed; `todo` says what
 * - `skipped`: could not be looked at, or is nothing to decide on; `text` says why
 * - `hint`: good to know, nothing was looked at
 */
export interface Finding {
  /** Stable, for programs: `redis.persistence`, `api.credentials` … */
  readonly name: string;
  readonly state: 'ok' | 'wrong' | 'skipped' | 'hint';
  readonly text: string;
  readonly todo?: string;
  /** Of a wrong one: what the exit code says before anything else. */
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

/** Wrong settings come first, since they may be why something is out of reach; then that; then all else. */
export function verdictOfFindings(
  findings: readonly Finding[],
): 'well' | 'wrong' | NonNullable<Finding['cause']> {
  const bad = findings.filter(({ state }) => state === 'wrong');
  if (bad.some(({ cause }) => cause === 'configuration')) return 'configuration';
  if (bad.some(({ cause }) => cause === 'out-of-reach')) return 'out-of-reach';
  return bad.length > 0 ? 'wrong' : 'well';
}

const SIGNS: Readonly<Record<Finding['state'], string>> = { ok: '✓', wrong: '✗', skipped: '–', hint: '·' };

/** For a person: a line each, what to do below it. */
export function findingLines(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ state, text, todo }) => [
    `${SIGNS[state]} ${text}`,
    ...(todo === undefined ? [] : [`    → ${todo}`]),
  ]);
}

/** `2.5 h` and the like; at least seconds. */
export function duration(ms: number): string {
  const units: readonly (readonly [number, string])[] = [
    [86_400_000, 'days'],
    [3_600_000, 'h'],
    [60_000, 'min'],
  ];
  const [size, unit] = units.find(([unitMs]) => ms >= 2 * unitMs) ?? [1_000, 's'];
  return `${Math.round((10 * ms) / size) / 10} ${unit}`;
}
