import type { Account } from '../../simulator/accounts/account-store.ts';
import type { Scenario } from '../../simulator/scenario/scenario.ts';
import type { Quotas } from '../../simulator/traffic/quotas.ts';
import type { CallEntry, SimulatorReport } from '../../simulator/traffic/statistics.ts';
import { type ImsyncProcess, imsync } from './process.ts';
import { TEST_APP } from './simulator.ts';

/** `imsync simulate` as a process of its own, spoken to over its control paths. */
export interface SimulateProcess {
  readonly process: ImsyncProcess;
  /** The base URL of the API. */
  readonly url: string;
  report(): Promise<SimulatorReport>;
  accounts(): Promise<Map<string, Account>>;
  calls(): Promise<CallEntry[]>;
  setFaults(scenario: Scenario): Promise<void>;
  deleteAccounts(userIds: readonly string[]): Promise<void>;
  setQuotas(quotas: Quotas): Promise<void>;
  /** Forgets accounts, calls and counts. */
  reset(): Promise<void>;
}

export async function startSimulate(args: readonly string[] = []): Promise<SimulateProcess> {
  const process = imsync(['simulate', '--port', '0', ...args], {
    IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
    IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
  });
  const ready = await process.line('simulator is ready');
  const { url, controlUrl, controlToken } = ready as Record<'url' | 'controlUrl' | 'controlToken', string>;
  const get = async (path: string): Promise<string> => {
    const response = await fetch(controlUrl + path);
    if (!response.ok) throw new Error(`GET ${path}: ${await response.text()}`);
    return response.text();
  };
  const change = async (method: string, path: string, body: unknown): Promise<void> => {
    const response = await fetch(controlUrl + path, {
      method,
      headers: { Authorization: `Bearer ${controlToken}` },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    await response.arrayBuffer();
  };
  const lines = async <T>(path: string): Promise<T[]> =>
    (await get(path)).split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as T]));
  return {
    process,
    url,
    report: async () => JSON.parse(await get('report')) as SimulatorReport,
    accounts: async () =>
      new Map((await lines<Account>('accounts')).map((account) => [account.userId, account])),
    calls: () => lines<CallEntry>('calls'),
    setFaults: (scenario) => change('PUT', 'faults', scenario),
    deleteAccounts: (userIds) => change('POST', 'accounts/delete', { userIds }),
    setQuotas: (quotas) => change('PUT', 'quotas', quotas),
    reset: () => change('POST', 'reset', {}),
  };
}
