import type { AccountStore } from '../accounts/account-store.ts';
import type { ArrivalReport, CommandReport, SimulatorReport } from './report.ts';
import { RollingWindow } from './rolling-window.ts';

/** Counts arrivals and their density. */
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

/** Counts what the report tells. Instants are milliseconds that never go back. */
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

  /** A request came, as early as `earliestMs` if the event loop was late (stall-watch.ts). */
  arrived(command: string, nowMs: number, earliestMs: number): void {
    this.#of(command).arrivals.add(nowMs, earliestMs);
    this.#all.add(nowMs, earliestMs);
  }

  accepted(command: string): void {
    this.#of(command).accepted += 1;
  }

  refused(command: string): void {
    this.#of(command).refused += 1;
  }

  carried(command: string, items: number, duplicates: number): void {
    const of = this.#of(command);
    of.items += items;
    of.duplicatesInACall += duplicates;
  }

  ended(command: string, how: string): void {
    const { ends } = this.#of(command);
    ends.set(how, (ends.get(how) ?? 0) + 1);
    if (how === 'reset') this.#resets += 1;
  }

  hung(): void {
    this.#hangs += 1;
  }

  unknownRequest(): void {
    this.#unknownRequests += 1;
  }

  clientGone(): void {
    this.#clientsGone += 1;
  }

  connectionOpened(): void {
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
      commands: Object.fromEntries([...this.#commands].map(([name, of]) => [name, of.report(nowMs)])),
      allCommands: this.#all.report(nowMs),
      unknownRequests: this.#unknownRequests,
      resets: this.#resets,
      hangs: this.#hangs,
      clientsGone: this.#clientsGone,
      connectionsOpened: this.#connectionsOpened,
      longestStallMs,
    };
  }

  #of(command: string): CommandStatistics {
    const known = this.#commands.get(command);
    if (known !== undefined) return known;
    const fresh = new CommandStatistics();
    this.#commands.set(command, fresh);
    return fresh;
  }
}
