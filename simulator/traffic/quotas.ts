import { COMMAND_NAMES, COMMANDS, type CommandName } from '../commands.ts';
import { fieldsAt, type Readers, wholeNumberAt } from '../scenario/input.ts';
import { RollingWindow } from './arrivals.ts';

/** Calls in any rolling second, by command and for all commands together; null means no limit. */
export type Quotas = { readonly [K in CommandName | 'total']?: number | null };

const QUOTA_NAMES = [...COMMAND_NAMES, 'total'] as const;

/**
 * Returns the documented quotas. The quota of account_import depends on the form that the app uses:
 * 200 for `UserID` (current), 100 for `Identifier` (legacy). The total has no documented figure.
 */
export function documentedQuotas(accountImportForm: 'current' | 'legacy'): Required<Quotas> {
  const figures = COMMAND_NAMES.map((name) => [name, COMMANDS[name].quotaPerSecond] as const);
  const quotas = Object.fromEntries(figures) as Record<CommandName, number>;
  if (accountImportForm === 'legacy') quotas.account_import = 100;
  return { ...quotas, total: null };
}

/** Reads quotas from parsed JSON. Each command and `total` may be absent. Throws InvalidInput. */
export function readQuotas(value: unknown, place: string): Quotas {
  const quotaAt = (quota: unknown, at: string) => (quota === null ? null : wholeNumberAt(quota, at, 0, 1e9));
  const readers = Object.fromEntries(QUOTA_NAMES.map((name) => [name, quotaAt])) as Readers<Quotas>;
  return fieldsAt(value, place, readers);
}

/**
 * Refuses the calls over the quota of a rolling second: those that find as many accepted calls in the last
 * 1000 ms as the quota allows. Refused calls do not count.
 * Source: "maximum call frequency" of the API references. The kind of window is not documented.
 * A rolling window is the strictest interpretation.
 */
export class QuotaLimiter {
  #windows: Readonly<Record<CommandName | 'total', RollingWindow>> = newWindows();
  #quotas: Required<Quotas>;

  constructor(quotas: Required<Quotas>) {
    this.#quotas = quotas;
  }

  /** Forgets the calls of the last second; the quotas stay. */
  reset(): void {
    this.#windows = newWindows();
  }

  get quotas(): Required<Quotas> {
    return this.#quotas;
  }

  /** Changes the quotas named. Calls that were counted stay counted. */
  changeQuotas(quotas: Quotas): void {
    this.#quotas = { ...this.#quotas, ...quotas };
  }

  /**
   * Returns 0 to accept a call that arrives at `nowMs`, 60007 over the command's quota, 60011 over the total.
   * The call may have arrived as early as `earliestMs` (StallWatch) and leaves the window accordingly.
   */
  admit(command: CommandName, nowMs: number, earliestMs = nowMs): 0 | 60007 | 60011 {
    if (this.#isFull(command, nowMs)) return 60007;
    if (this.#isFull('total', nowMs)) return 60011;
    this.#windows[command].add(nowMs, earliestMs);
    this.#windows.total.add(nowMs, earliestMs);
    return 0;
  }

  #isFull(name: CommandName | 'total', nowMs: number): boolean {
    const quota = this.#quotas[name];
    return quota !== null && this.#windows[name].count(nowMs) >= quota;
  }
}

function newWindows(): Readonly<Record<CommandName | 'total', RollingWindow>> {
  const windows = QUOTA_NAMES.map((name) => [name, new RollingWindow(1000)] as const);
  return Object.fromEntries(windows) as Record<CommandName | 'total', RollingWindow>;
}
