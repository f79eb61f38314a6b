/** A client of the simulator's control API under /_sim/. */
export interface SimulatorControl {
  readonly url: string;
  report(): Promise<SimulatorFacts>;
  /** Replaces the scenario. Its times count from now. */
  setScenario(scenario: object): Promise<void>;
  /** Returns the nick of every account by user ID, or '' for an account without one. */
  accounts(): Promise<ReadonlyMap<string, string>>;
}

/** The part of the report that the demo shows. */
export interface SimulatorFacts {
  readonly accounts: number;
  readonly longestStallMs: number;
  readonly commands: Readonly<Record<string, CommandFacts | undefined>>;
}

export interface CommandFacts {
  readonly calls: number;
  readonly accepted: number;
  readonly refused: number;
  readonly items: number;
  readonly startedLastSecond: number;
  readonly maxInRollingSecond: number;
  /** Without arrivals that share a second only because of late timestamps of the simulator. */
  readonly maxSurelyInRollingSecond: number;
  readonly byErrorCode: Readonly<Record<string, number>>;
}

const TIMEOUT_MS = 20_000;

export function createSimulatorControl(url: string, token: string): SimulatorControl {
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const response = await fetch(`${url}/_sim/${path}`, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) throw new Error(`The simulator answered ${response.status} to /_sim/${path}.`);
    return response;
  };
  return {
    url,
    report: async () => (await (await request('report')).json()) as SimulatorFacts,
    async setScenario(scenario) {
      const headers = { Authorization: `Bearer ${token}` };
      await (await request('faults', { method: 'PUT', headers, body: JSON.stringify(scenario) })).text();
    },
    async accounts() {
      const accounts = new Map<string, string>();
      for (const line of (await (await request('accounts')).text()).split('\n')) {
        if (line === '') continue;
        const { userId, nick } = JSON.parse(line) as { userId: string; nick?: string };
        accounts.set(userId, nick ?? '');
      }
      return accounts;
    },
  };
}
