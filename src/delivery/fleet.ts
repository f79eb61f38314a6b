import type { ImportCommand } from '../im/bodies.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { HoldState } from '../pace/hold-state.ts';
import type { Slot } from '../pace/slot.ts';
import type { Line } from './place-call.ts';

/**
 * What a call's answer means for the whole fleet, before it is asked what it means for the call's users.
 * - `judge`: it says something about the users.
 * - `again`: it says nothing about them: the same call waits for another slot, and no attempt is spent.
 */
export type Heard = 'judge' | 'again';

/** Hears every answer of one run. */
export interface FleetEar {
  hear(command: ImportCommand, verdict: Verdict, slot: Slot): Promise<Heard>;
}

export interface FleetOptions {
  readonly hold: HoldState;
  readonly lines: Readonly<Partial<Record<ImportCommand, Line>>>;
  /** Makes the cached UserSig anew. */
  readonly signAnew: () => void;
  readonly report: FleetReport;
}

export interface FleetReport {
  held(verdict: Verdict): void;
  released(): void;
  throttled(command: ImportCommand, verdict: Verdict, standBackMs: number): void;
}

/** How long a command stands back after "too often" when the answer does not say. */
const THROTTLE_WAIT_MS = 1_000;

/** One for each run: a signature that expired is made anew once a run before it counts. */
export function createFleetEar({ hold, lines, signAnew, report }: FleetOptions): FleetEar {
  let signedAnew = false;

  const throttle = async (command: ImportCommand, verdict: Verdict, slot: Slot): Promise<void> => {
    const standBackMs = verdict.retryAfterMs ?? THROTTLE_WAIT_MS;
    const throttled = verdict.throttles === 'all' ? Object.values(lines) : [lines[command]];
    await Promise.all(throttled.map((line) => line?.book.standBack(standBackMs)));
    report.throttled(command, verdict, standBackMs);
    if (slot.probe) await hold.wait(slot.epoch);
  };

  const blocked = async (verdict: Verdict, slot: Slot): Promise<void> => {
    if (verdict.signAnew && !signedAnew) {
      signedAnew = true;
      signAnew();
      if (slot.probe) await hold.wait(slot.epoch);
      return;
    }
    const change = await hold.set(slot.epoch, {
      errorCode: verdict.errorCode,
      errorInfo: verdict.errorInfo || verdict.meaning,
      kind: verdict.holdKind ?? 'configuration',
      ...(verdict.minProbeGapMs !== undefined && { minProbeGapMs: verdict.minProbeGapMs }),
    });
    if (change === 'set') report.held(verdict);
  };

  /** Only an answer that the API gives to a working app proves anything. */
  const endProbe = async (verdict: Verdict, slot: Slot): Promise<void> => {
    const proves = verdict.class === 'done' || verdict.class === 'account' || verdict.class === 'body';
    const change = await (proves ? hold.clear(slot.epoch) : hold.wait(slot.epoch));
    if (change === 'cleared') report.released();
  };

  return {
    async hear(command, verdict, slot) {
      if (verdict.class === 'throttle') {
        await throttle(command, verdict, slot);
        return 'again';
      }
      if (verdict.class === 'app') {
        await blocked(verdict, slot);
        return 'again';
      }
      if (slot.probe) await endProbe(verdict, slot);
      return 'judge';
    },
  };
}
