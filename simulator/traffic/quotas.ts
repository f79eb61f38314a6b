import { COMMAND_NAMES, COMMANDS, type CommandName } from '../commands.ts';
import { type Fields, objectAt, wholeNumberAt } from '../scenario/input.ts';
import { RollingWindow } from './rolling-window.ts';

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
  const fields: Fields = objectAt(value, place, QUOTA_NAMES);
  const given = QUOTA_NAMES.filter((name) => fields[name] !== undefined).map((name) => {
    const quota = fields[name];
    return [name, quota === null ? null : wholeNumberAt(quota, `${place}.${name}`, 0, 1e9)] as const;
  });
  return Object.fromEntries(given);
}

/**
 * Refuses the calls over the quota of a rolling second.
 *
 * A call is refused if the last 1000 ms hold as many accepted calls as the quota allows.
 * Refused calls count in the window only with `refusedCallsCount`.
 * Source: "maximum call frequency" of the API references. The kind of window is not documented.
 * A rolling window is the strictest interpretation.
 */
export class QuotaLimiter {
  readonly #windows = new Map<CommandName | 'total', RollingWindow>();
  readonly #refusedCallsCount: boolean;
  #quotas: Required<Quotas>;

  constructor(quotas: Required<Quotas>, refusedCallsCount: boolean) {
    this.#quotas = quotas;
    this.#refusedCallsCount = refusedCallsCount;
    this.reset();
  }

  /** Forgets the calls of the last second; the quotas stay. */
  reset(): void {
    for (const name of QUOTA_NAMES) this.#windows.set(name, new RollingWindow(1000));
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
   * The call may have arrived as early as `earliestMs` (stall-watch.ts) and leaves the window accordingly.
   */
  admit(command: CommandName, nowMs: number, earliestMs = nowMs): 0 | 60007 | 60011 {
    const code = this.#isFull(command, nowMs) ? 60007 : this.#isFull('total', nowMs) ? 60011 : 0;
    if (code === 0 || this.#refusedCallsCount) {
      this.#windows.get(command)?.add(nowMs, earliestMs);
      this.#windows.get('total')?.add(nowMs, earliestMs);
    }
    return code;
  }

  #isFull(name: CommandName | 'total', nowMs: number): boolean {
    const quota = this.#quotas[name];
    return quota !== null && (this.#windows.get(name)?.count(nowMs) ?? 0) >= quota;
  }
}
