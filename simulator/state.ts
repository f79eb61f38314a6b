import { AccountStore } from './accounts/account-store.ts';
import { Backend } from './accounts/backend.ts';
import type { AppIdentity } from './http/request-url.ts';
import type { ResolvedOptions } from './options.ts';
import { seededRandom } from './randomness.ts';
import { FaultSelector } from './scenario/fault-selector.ts';
import { readScenario, type Scenario, type Settings } from './scenario/scenario.ts';
import { StallWatch } from './traffic/arrivals.ts';
import { QuotaLimiter } from './traffic/quotas.ts';
import { CallLog, type SimulatorReport, Statistics } from './traffic/statistics.ts';

/** The whole state of a running simulator. The HTTP handlers work on it. */
export class SimulatorState {
  readonly app: AppIdentity;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly maxBodyBytes: number;
  readonly store = new AccountStore();
  readonly backend: Backend;
  readonly quotas: QuotaLimiter;
  readonly calls: CallLog;
  readonly stalls: StallWatch;
  closed = false;
  /** A reset makes new ones. */
  statistics: Statistics;
  /** The three that a scenario sets. */
  scenario: Scenario = {};
  settings: Settings;
  faults: FaultSelector;
  readonly #startSettings: Settings;
  readonly #seed: number;
  #requests = 0;

  constructor(options: ResolvedOptions) {
    this.app = options.app;
    this.nowMs = options.nowMs;
    this.maxBodyBytes = options.maxBodyBytes;
    this.random = seededRandom(options.seed);
    this.#seed = options.seed;
    this.#startSettings = options.settings;
    this.settings = options.settings;
    this.backend = new Backend(this.store, options.app.adminId, options.settings);
    this.quotas = new QuotaLimiter(options.quotas);
    this.calls = new CallLog(options.callLogSize);
    this.statistics = new Statistics(this.nowMs());
    this.stalls = new StallWatch(this.nowMs());
    this.faults = new FaultSelector([], this.#seed, this.random, this.nowMs());
    this.setFaults(options.scenario);
  }

  /** Replaces the scenario. Its clock starts now. If it throws InvalidInput, nothing has changed. */
  setFaults(given: unknown): void {
    this.scenario = readScenario(given);
    const { rules = [], ...settings } = this.scenario;
    this.settings = { ...this.#startSettings, ...settings };
    this.faults = new FaultSelector(rules, this.#seed, this.random, this.nowMs());
    this.backend.settings = this.settings;
  }

  /**
   * Clears accounts, calls and counters, and the last second of the quotas. The scenario and the quotas
   * stay. A call that is in progress takes effect afterwards.
   */
  reset(): void {
    this.store.clear();
    this.calls.clear();
    this.quotas.reset();
    this.statistics = new Statistics(this.nowMs());
    this.stalls.clear();
  }

  report(): SimulatorReport {
    return this.statistics.report(this.store, this.stalls.longestStallMs, this.nowMs());
  }

  /** Resolves at `timeMs`. It never resolves if the simulator is closed before. */
  async waitUntil(timeMs: number): Promise<void> {
    const delayMs = timeMs - this.nowMs();
    if (delayMs <= 0) return;
    await new Promise<void>((resolve) => {
      setTimeout(() => {
        if (!this.closed) resolve();
      }, delayMs).unref();
    });
  }

  nextRequestId(): string {
    this.#requests += 1;
    return `sim-${this.#requests}`;
  }
}
