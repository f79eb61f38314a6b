import { withoutUsers } from '../im/redact.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { HoldState, HoldWord } from '../pace/hold-state.ts';
import type { Slot } from '../pace/slot.ts';
import type { Line } from './place-call.ts';
import type { Group } from './unit.ts';

/**
 * What a call's answer means for the whole fleet, before it is asked what it means for the call's users.
 * - `judge`: it says something about the users.
 * - `proof`: the same, and that accounts pass: nothing goes wrong in a row any more. Their settlement tells it.
 * - `again`: it says nothing about them: the same call waits for another slot, and no attempt is spent.
 * - `scout`: like `again`, but one of its several users goes ahead alone, to tell a fault of accounts from a fault
 *   of the app.
 */
export type Heard = 'judge' | 'proof' | 'again' | 'scout';

/** Hears every answer of one run. */
export interface FleetEar {
  /** `failed`: users of the group who stand in FailAccounts. */
  hear(group: Group, verdict: Verdict, failed: number, slot: Slot): Promise<Heard>;
}

export interface FleetOptions {
  readonly hold: HoldState;
  readonly lines: Readonly<Partial<Record<Group['command'], Line>>>;
  /** The UserSig has expired: makes it anew, by another clock if this machine's may be wrong. */
  readonly signAnew: (sentAtMs: number) => void;
  readonly report: FleetReport;
}

export interface FleetReport {
  /** `ratePerSecond`: the shared rate from now on; null when it was lowered already. */
  throttled(command: Group['command'], verdict: Verdict, ratePerSecond: number | null): void;
}

const HELD: ReadonlySet<HoldWord> = new Set<HoldWord>(['set', 'postponed', 'waiting', 'held']);

function usersOf({ units }: Group): string[] {
  return units.map(({ userId }) => userId);
}

interface Answered {
  readonly errorCode: number;
  readonly errorInfo: string;
}

/** One for each run: a signature that expired is made anew once a run before it counts. */
export function createFleetEar({ hold, lines, signAnew, report }: FleetOptions): FleetEar {
  let signedAnew = false;

  const throttled = async (group: Group, verdict: Verdict, answer: Answered, slot: Slot): Promise<void> => {
    const all = verdict.throttles === 'all' ? Object.values(lines) : [lines[group.command]];
    const rates = await Promise.all(
      all.map((line) => line?.book.throttle(slot, verdict.retryAfterMs ?? 0) ?? null),
    );
    report.throttled(group.command, verdict, rates.find((rate) => rate !== null) ?? null);
    if (slot.probe) await hold.trouble(slot, answer);
  };

  const blocked = async (verdict: Verdict, errorInfo: string, slot: Slot): Promise<void> => {
    if (verdict.signAnew && !signedAnew) {
      signedAnew = true;
      signAnew(slot.atLocalMs);
      if (slot.probe) await hold.missed(slot);
      return;
    }
    const { errorCode, holdKind = 'configuration', minProbeGapMs } = verdict;
    await hold.blocked(slot, {
      errorCode,
      errorInfo,
      kind: holdKind,
      ...(minProbeGapMs !== undefined && { minProbeGapMs }),
    });
  };

  /** An answer that speaks against all of its users: what it newly says of them counts, splits do not. */
  const refused = async (group: Group, slot: Slot, answer: Answered): Promise<Heard> => {
    const isNews = group.first || (group.units.length === 1 && group.units[0]?.failed === true);
    const word = await hold.bad(slot, isNews ? group.units.length : 0, answer);
    if (!HELD.has(word)) return 'judge';
    return group.units.length > 1 ? 'scout' : 'again';
  };

  return {
    async hear(group, verdict, failed, slot) {
      // What holds the fleet is shown everywhere: it must not name the users of the call that told it.
      const errorInfo =
        (verdict.errorInfo !== '' && withoutUsers(verdict.errorInfo, usersOf(group))) || verdict.meaning;
      const answer = { errorCode: verdict.errorCode, errorInfo };
      switch (verdict.class) {
        case 'throttle':
          await throttled(group, verdict, answer, slot);
          return 'again';
        case 'app':
          await blocked(verdict, errorInfo, slot);
          return 'again';
        case 'done':
          // All of them failed: the API answers, but nothing proves that an account can pass.
          if (failed === group.units.length) return refused(group, slot, answer);
          if (!slot.probe) return 'proof';
          await hold.success(slot);
          return 'judge';
        case 'retry': {
          const word = await hold.trouble(slot, answer);
          return HELD.has(word) && word !== 'set' ? 'again' : 'judge';
        }
        case 'account':
        case 'body':
        case 'unknown':
          return refused(group, slot, answer);
      }
    },
  };
}
