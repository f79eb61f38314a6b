import type { AccountStore } from '../accounts/account-store.ts';
import { ArrivalMeter, type ArrivalReport } from './arrivals.ts';

/** What happened since the start or the last reset. It is the answer of GET /_sim/report. */
export interface SimulatorReport extends Counts {
  /** ISO 8601. */
  readonly startedAt: string;
  readonly uptimeMs: number;
  readonly accounts: number;
  /** Accounts with a nick or a picture. */
  readonly profiles: number;
  readonly deletedAccounts: number;
  /** `max` counts deleted accounts too. */
  readonly importsPerAccount: { readonly max: number; readonly moreThanOnce: number };
  /** By command. A command that was never called is absent. */
  readonly commands: Readonly<Record<string, CommandReport>>;
  /** The calls of all known commands together. */
  readonly allCommands: ArrivalReport;
  /** The longest delay of the simulator's event loop. Timestamps of arrivals are late by as much. */
  readonly longestStallMs: number;
}

interface Counts {
  /** Requests whose URL names no known command. */
  unknownRequests: number;
  /** Connections that the scenario reset. */
  resets: number;
  /** Calls that the scenario let hang. */
  hangs: number;
  /** Calls whose client left before the body was complete or the answer was ready. */
  clientsGone: number;
  connectionsOpened: number;
}

interface CommandReport extends ArrivalReport, CommandCounts {
  /** Accounts per accepted call. */
  readonly meanItems: number;
  /** Answers by ErrorCode. Other ends have a name: `http-502`, `garbage`, `truncated`, `reset`, `hung`. */
  readonly byErrorCode: Readonly<Record<string, number>>;
}

interface CommandCounts {
  /** Calls that passed the checks of query and quota. */
  accepted: number;
  /** Calls over the quota (60007, 60011). Codes of a scenario do not count. */
  refused: number;
  /** Accounts in accepted calls. */
  items: number;
  /** How often an account was repeated within one call. */
  duplicatesInACall: number;
}

/** How a call ended, as the simulator sees it. */
export type CallOutcome =
  | 'pending'
  | 'answered'
  | 'garbage'
  | 'truncated'
  | 'reset'
  | 'hung'
  /** The client closed the connection before its body was complete. */
  | 'aborted'
  | `http-${number}`;

/** One line of the call log. */
export interface CallEntry {
  /** Counts the calls from 1, in order of arrival. */
  readonly seq: number;
  /** The arrival in milliseconds since 1970, with a fraction. */
  readonly arrivedAtMs: number;
  readonly command: string;
  /** Accounts in the call; 0 if the body could not be read. */
  items: number;
  /** null unless the call was answered with an ErrorCode. */
  errorCode: number | null;
  /** From arrival to end; null while the call is pending or hung. */
  latencyMs: number | null;
  outcome: CallOutcome;
  /** The client had left when the answer was ready. */
  clientGone: boolean;
}

/** Keeps the last `capacity` calls in order of arrival. */
export class CallLog {
  readonly #capacity: number;
  #ring: CallEntry[] = [];
  #seq = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  open(command: string, arrivedAtMs: number): CallEntry {
    const entry: CallEntry = {
      seq: this.#seq + 1,
      arrivedAtMs,
      command,
      items: 0,
      errorCode: null,
      latencyMs: null,
      outcome: 'pending',
      clientGone: false,
    };
    if (this.#capacity > 0) this.#ring[this.#seq % this.#capacity] = entry;
    this.#seq += 1;
    return entry;
  }

  /** Oldest first. */
  entries(): CallEntry[] {
    const start = this.#ring.length < this.#capacity ? 0 : this.#seq % this.#capacity;
    return [...this.#ring.slice(start), ...this.#ring.slice(0, start)];
  }

  clear(): void {
    this.#ring = [];
    this.#seq = 0;
  }
}

/** Counts what the report shows. Times are milliseconds that never go back. */
export class Statistics {
  readonly counts: Counts = { unknownRequests: 0, resets: 0, hangs: 0, clientsGone: 0, connectionsOpened: 0 };
  readonly #startedAtMs: number;
  readonly #commands = new Map<string, CommandStatistics>();
  readonly #all = new ArrivalMeter();

  constructor(nowMs: number) {
    this.#startedAtMs = nowMs;
  }

  of(command: string): CommandStatistics {
    const known = this.#commands.get(command) ?? new CommandStatistics();
    this.#commands.set(command, known);
    return known;
  }

  /** Counts a request. It may have arrived as early as `earliestMs`, see StallWatch. */
  countArrival(command: string, nowMs: number, earliestMs: number): void {
    this.of(command).arrivals.add(nowMs, earliestMs);
    this.#all.add(nowMs, earliestMs);
  }

  /** Counts how a call ended: with an ErrorCode, or with an outcome of another kind. */
  countEnd(command: string, how: string): void {
    const { ends } = this.of(command);
    ends.set(how, (ends.get(how) ?? 0) + 1);
    if (how === 'reset') this.counts.resets += 1;
  }

  report(store: AccountStore, longestStallMs: number, nowMs: number): SimulatorReport {
    const { profiles, maxImports, importedMoreThanOnce } = store.counts;
    return {
      startedAt: new Date(this.#startedAtMs).toISOString(),
      uptimeMs: nowMs - this.#startedAtMs,
      accounts: store.accounts.size,
      profiles,
      deletedAccounts: store.deleted,
      importsPerAccount: { max: maxImports, moreThanOnce: importedMoreThanOnce },
      commands: Object.fromEntries([...this.#commands].map(([name, one]) => [name, one.report(nowMs)])),
      allCommands: this.#all.report(nowMs),
      ...this.counts,
      longestStallMs,
    };
  }
}

class CommandStatistics {
  readonly arrivals = new ArrivalMeter();
  readonly counts: CommandCounts = { accepted: 0, refused: 0, items: 0, duplicatesInACall: 0 };
  readonly ends = new Map<string, number>();

  report(nowMs: number): CommandReport {
    const { accepted, items } = this.counts;
    return {
      ...this.arrivals.report(nowMs),
      ...this.counts,
      meanItems: accepted === 0 ? 0 : items / accepted,
      byErrorCode: Object.fromEntries(this.ends),
    };
  }
}
