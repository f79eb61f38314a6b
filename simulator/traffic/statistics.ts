import type { AccountStore } from '../accounts/account-store.ts';
import { RollingWindow } from './rolling-window.ts';

/** What happened since the start or the last reset. It is the answer of GET /_sim/report. */
export interface SimulatorReport {
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
  /** Requests whose URL names no known command. */
  readonly unknownRequests: number;
  /** Connections that the scenario reset. */
  readonly resets: number;
  /** Calls that the scenario let hang. */
  readonly hangs: number;
  /** Calls whose client left before the body was complete or the answer was ready. */
  readonly clientsGone: number;
  readonly connectionsOpened: number;
  /** The longest delay of the simulator's event loop. Timestamps of arrivals are late by as much. */
  readonly longestStallMs: number;
}

/** Arrivals of requests, refused ones included. A request arrives when its headers are read. */
export interface ArrivalReport {
  readonly calls: number;
  /** The most arrivals within any 1000 ms. Two calls exactly 1000 ms apart do not share a second. */
  readonly maxInRollingSecond: number;
  /** Like maxInRollingSecond, but without arrivals that share a second only because of late timestamps. */
  readonly maxSurelyInRollingSecond: number;
  readonly maxIn10Ms: number;
  /** Like maxIn10Ms, but without arrivals that share 10 ms only because of late timestamps. */
  readonly maxSurelyIn10Ms: number;
  readonly startedLastSecond: number;
}

export interface CommandReport extends ArrivalReport {
  /** Calls that passed the checks of query and quota. */
  readonly accepted: number;
  /** Calls over the quota (60007, 60011). Codes of a scenario do not count. */
  readonly refused: number;
  /** Accounts in accepted calls. */
  readonly items: number;
  /** Accounts per accepted call. */
  readonly meanItems: number;
  /** How often an account was repeated within one call. */
  readonly duplicatesInACall: number;
  /** Answers by ErrorCode. Other ends have a name: `http-502`, `garbage`, `truncated`, `reset`, `hung`. */
  readonly byErrorCode: Readonly<Record<string, number>>;
}

/** Counts arrivals, and the most within a second and within 10 ms. */
class ArrivalMeter {
  readonly #second = new RollingWindow(1000);
  readonly #instant = new RollingWindow(10);
  #calls = 0;
  readonly #sureSecond = new RollingWindow(1000);
  readonly #sureInstant = new RollingWindow(10);
  #maxInRollingSecond = 0;
  #maxSurely = 0;
  #maxIn10Ms = 0;
  #maxSurelyIn10Ms = 0;

  add(nowMs: number, earliestMs: number): void {
    this.#calls += 1;
    this.#maxSurely = Math.max(this.#maxSurely, this.#sureSecond.add(nowMs, earliestMs));
    this.#maxInRollingSecond = Math.max(this.#maxInRollingSecond, this.#second.add(nowMs));
    this.#maxIn10Ms = Math.max(this.#maxIn10Ms, this.#instant.add(nowMs));
    this.#maxSurelyIn10Ms = Math.max(this.#maxSurelyIn10Ms, this.#sureInstant.add(nowMs, earliestMs));
  }

  report(nowMs: number): ArrivalReport {
    return {
      calls: this.#calls,
      maxInRollingSecond: this.#maxInRollingSecond,
      maxSurelyInRollingSecond: this.#maxSurely,
      maxIn10Ms: this.#maxIn10Ms,
      maxSurelyIn10Ms: this.#maxSurelyIn10Ms,
      startedLastSecond: this.#second.count(nowMs),
    };
  }
}

class CommandStatistics {
  readonly arrivals = new ArrivalMeter();
  accepted = 0;
  refused = 0;
  items = 0;
  duplicatesInACall = 0;
  readonly ends = new Map<string, number>();

  report(nowMs: number): CommandReport {
    return {
      ...this.arrivals.report(nowMs),
      accepted: this.accepted,
      refused: this.refused,
      items: this.items,
      meanItems: this.accepted === 0 ? 0 : this.items / this.accepted,
      duplicatesInACall: this.duplicatesInACall,
      byErrorCode: Object.fromEntries(this.ends),
    };
  }
}

/** Counts what the report shows. Times are milliseconds that never go back. */
export class Statistics {
  #startedAtMs: number;
  #commands = new Map<string, CommandStatistics>();
  #all = new ArrivalMeter();
  #unknownRequests = 0;
  #resets = 0;
  #hangs = 0;
  #clientsGone = 0;
  #connectionsOpened = 0;

  constructor(nowMs: number) {
    this.#startedAtMs = nowMs;
  }

  clear(nowMs: number): void {
    this.#startedAtMs = nowMs;
    this.#commands = new Map();
    this.#all = new ArrivalMeter();
    this.#unknownRequests = 0;
    this.#resets = 0;
    this.#hangs = 0;
    this.#clientsGone = 0;
    this.#connectionsOpened = 0;
  }

  /** Counts a request. It may have arrived as early as `earliestMs`, see stall-watch.ts. */
  countArrival(command: string, nowMs: number, earliestMs: number): void {
    this.#statisticsOf(command).arrivals.add(nowMs, earliestMs);
    this.#all.add(nowMs, earliestMs);
  }

  countAccepted(command: string): void {
    this.#statisticsOf(command).accepted += 1;
  }

  countRefused(command: string): void {
    this.#statisticsOf(command).refused += 1;
  }

  countItems(command: string, items: number, duplicates: number): void {
    const statistics = this.#statisticsOf(command);
    statistics.items += items;
    statistics.duplicatesInACall += duplicates;
  }

  countEnd(command: string, how: string): void {
    const { ends } = this.#statisticsOf(command);
    ends.set(how, (ends.get(how) ?? 0) + 1);
    if (how === 'reset') this.#resets += 1;
  }

  countHang(): void {
    this.#hangs += 1;
  }

  countUnknownRequest(): void {
    this.#unknownRequests += 1;
  }

  countClientGone(): void {
    this.#clientsGone += 1;
  }

  countConnection(): void {
    this.#connectionsOpened += 1;
  }

  report(store: AccountStore, longestStallMs: number, nowMs: number): SimulatorReport {
    return {
      startedAt: new Date(this.#startedAtMs).toISOString(),
      uptimeMs: nowMs - this.#startedAtMs,
      accounts: store.accounts.size,
      profiles: store.profiles,
      deletedAccounts: store.deleted,
      importsPerAccount: { max: store.maxImports, moreThanOnce: store.importedMoreThanOnce },
      commands: Object.fromEntries([...this.#commands].map(([name, one]) => [name, one.report(nowMs)])),
      allCommands: this.#all.report(nowMs),
      unknownRequests: this.#unknownRequests,
      resets: this.#resets,
      hangs: this.#hangs,
      clientsGone: this.#clientsGone,
      connectionsOpened: this.#connectionsOpened,
      longestStallMs,
    };
  }

  #statisticsOf(command: string): CommandStatistics {
    const known = this.#commands.get(command);
    if (known !== undefined) return known;
    const fresh = new CommandStatistics();
    this.#commands.set(command, fresh);
    return fresh;
  }
}
