import { AccountStore } from './accounts/account-store.ts';
import { Backend } from './accounts/backend.ts';
import { type AppIdentity, UserSigVerifier } from './http/user-sig.ts';
import type { ResolvedOptions } from './options.ts';
import { seededRandom } from './randomness.ts';
import { FaultSelector } from './scenario/fault-selector.ts';
import { readScenario, type Scenario } from './scenario/scenario.ts';
import type { Settings } from './scenario/settings.ts';
import { CallLog } from './traffic/call-log.ts';
import { QuotaLimiter } from './traffic/quotas.ts';
import { StallWatch } from './traffic/stall-watch.ts';
import type { SimulatorReport } from './traffic/statistics.ts';
import { Statistics } from './traffic/statistics.ts';

/** Timers that can all be cancelled at once when the simulator closes. */
class Timers {
  readonly #pending = new Set<NodeJS.Timeout>();

  /** Runs `work` after `delayMs`. Without a delay it runs before this method returns. */
  after(delayMs: number, work: () => void): void {
    if (delayMs <= 0) {
      work();
      return;
    }
    const timer = setTimeout(() => {
      this.#pending.delete(timer);
      work();
    }, delayMs);
    this.#pending.add(timer);
  }

  clear(): void {
    for (const timer of this.#pending) clearTimeout(timer);
    this.#pending.clear();
  }
}

/** The whole state of a running simulator. The HTTP handlers work on it. It does no I/O itself. */
export class SimulatorState {
  readonly app: AppIdentity;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly maxBodyBytes: number;
  readonly signatures: UserSigVerifier;
  readonly store = new AccountStore();
  readonly backend: Backend;
  readonly quotas: QuotaLimiter;
  readonly calls: CallLog;
  readonly statistics: Statistics;
  readonly stalls: StallWatch;
  readonly timers = new Timers();
  readonly #startSettings: Settings;
  readonly #seed: number;
  #scenario: Scenario = {};
  #settings: Settings;
  #faults: FaultSelector;
  #requests = 0;

  constructor(options: ResolvedOptions) {
    this.app = options.app;
    this.nowMs = options.nowMs;
    this.maxBodyBytes = options.maxBodyBytes;
    this.random = seededRandom(options.seed);
    this.#seed = options.seed;
    this.#startSettings = options.settings;
    this.#settings = options.settings;
    this.signatures = new UserSigVerifier(options.app);
    this.backend = new Backend(this.store, options.app.adminId, options.asciiIdsOnly, options.settings);
    this.quotas = new QuotaLimiter(options.quotas, options.refusedCallsCount);
    this.calls = new CallLog(options.callLogSize);
    this.statistics = new Statistics(this.nowMs());
    this.stalls = new StallWatch(this.nowMs());
    this.#faults = new FaultSelector([], this.#seed, this.random, this.nowMs());
    this.setFaults(options.scenario);
  }

  get settings(): Settings {
    return this.#settings;
  }

  get faults(): FaultSelector {
    return this.#faults;
  }

  get scenario(): Scenario {
    return this.#scenario;
  }

  /** Replaces the scenario. Its clock starts now. If it throws InvalidInput, nothing has changed. */
  setFaults(given: unknown): void {
    const { rules, ...settings } = readScenario(given);
    this.#scenario = rules === undefined ? settings : { ...settings, rules };
    this.#settings = { ...this.#startSettings, ...settings };
    this.#faults = new FaultSelector(rules ?? [], this.#seed, this.random, this.nowMs());
    this.backend.changeSettings(this.#settings);
  }

  /**
   * Clears accounts, calls and counters, and the last second of the quotas. The scenario and the quotas
   * stay. A call that is in progress takes effect afterwards.
   */
  reset(): void {
    this.store.clear();
    this.calls.clear();
    this.quotas.reset();
    this.statistics.clear(this.nowMs());
    this.stalls.clear();
  }

  report(): SimulatorReport {
    return this.statistics.report(this.store, this.stalls.longestStallMs, this.nowMs());
  }

  nextRequestId(): string {
    this.#requests += 1;
    return `sim-${this.#requests}`;
  }
}
