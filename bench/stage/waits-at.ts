import type { Account } from '../../simulator/accounts/account-store.ts';
import type { SimulateProcess } from '../../test/support/simulate.ts';
import { waitsOf } from '../measure/waits.ts';
import type { Acknowledged } from './steady-load.ts';

/** From the acknowledgement of each event to the arrival of its call at the simulator, ms. */
export async function waitsAt(
  simulator: SimulateProcess,
  acknowledged: Acknowledged,
  accounts: ReadonlyMap<string, Account>,
): Promise<number[]> {
  const imported = new Map(
    [...accounts.values()].map(({ userId, importedAt }) => [
      userId,
      { userId, importedAtMs: Date.parse(importedAt) },
    ]),
  );
  const arrivalsMs = (await simulator.calls()).map(({ arrivedAtMs }) => arrivedAtMs);
  return waitsOf(acknowledged, imported, arrivalsMs);
}
