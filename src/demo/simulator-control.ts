/** What the demo asks of the simulator's own pages, under /_sim/. */
export interface SimulatorControl {
  readonly url: string;
  report(): Promise<SimulatorFacts>;
  /** Sets the scenario anew: its times count from now. */
  setScenario(scenario: object): Promise<void>;
  /** Every account: its ID and its nick ('' without one). */
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
  /** The same, less what the simulator itself may have bunched by stamping it late. */
  readonly maxSurelyInRollingSecond: number;
  readonly byErrorCode: Readonly<Record<string, number>>;
}

const TIMEOUT_MS = 20_000;

export function createSimulatorControl(url: string, token: string): SimulatorControl {
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const response = await fetch(`${url}/_sim/${path}`, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) throw new Error(`the simulator answers ${response.status} to ${path}`);
    return response;
  };
  return {
    url,
    report: async () => (await (await ask('report')).json()) as SimulatorFacts,
    async setScenario(scenario) {
      const headers = { Authorization: `Bearer ${token}` };
      await (await ask('faults', { method: 'PUT', headers, body: JSON.stringify(scenario) })).text();
    },
    async accounts() {
      const accounts = new Map<string, string>();
      for (const line of (await (await ask('accounts')).text()).split('\n')) {
        if (line === '') continue;
        const { userId, nick } = JSON.parse(line) as { userId: string; nick?: string };
        accounts.set(userId, nick ?? '');
      }
      return accounts;
    },
  };
}
