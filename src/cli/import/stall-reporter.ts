import type { Verdict } from '../../im/verdicts.ts';
import type { FleetState, HoldState } from '../../pace/hold/hold-state.ts';
import { isDatabaseRefused } from '../../redis/database.ts';
import { verdictWords } from '../../tasks/account-checks.ts';
import type { BackfillReport } from '../../tasks/backfill/connect.ts';
import type { Obstacle } from '../../tasks/backfill/in-flight-limit.ts';

/** Says why no rows are done, once for each reason, and when they are done again. */
export interface StallReporter {
  readonly report: BackfillReport;
  /** Starts to look once a second. `rows`: how many rows are done. */
  watch(hold: HoldState, rows: () => number): void;
  /** The present obstacle in a few words; '' when there is none. */
  readonly words: string;
  close(): void;
}

const LOOK_MS = 1_000;
/** A full intake is normal. It is reported only when no row is done for this many looks. */
const BUSY_LOOKS = 10;

export function createStallReporter(say: (text: string) => void): StallReporter {
  let obstacle: { readonly kind: Obstacle | 'api'; readonly why: string } | undefined;
  let said = '';
  let words = '';
  let looking = false;
  let timer: NodeJS.Timeout | undefined;
  const tell = (key: string, text: string): void => {
    words = key === '' ? '' : `waiting (${key})`;
    if (key === said) return;
    if (key !== '' || said !== '') say(key === '' ? 'Continuing.' : text);
    said = key;
  };
  const look = async (hold: HoldState, standingLooks: number): Promise<void> => {
    const state = await hold.read();
    const stopped = stoppedText(state);
    if (stopped !== undefined) return tell(...stopped);
    if (obstacle?.kind === 'busy') {
      if (standingLooks >= BUSY_LOOKS) tell('no room', TEXTS.busy);
      return;
    }
    if (obstacle !== undefined) tell(obstacle.kind, textOf(obstacle.kind, obstacle.why));
  };
  return {
    report: {
      obstacle(kind, why = '') {
        obstacle = kind === undefined ? undefined : { kind, why };
      },
      again(verdict: Verdict, waitMs) {
        if (waitMs > 0) obstacle = { kind: 'api', why: verdictWords(verdict) };
      },
      answered() {
        if (obstacle?.kind === 'api') obstacle = undefined;
      },
    },
    watch(hold, rows) {
      let before = rows();
      let standingLooks = 0;
      timer = setInterval(() => {
        const now = rows();
        standingLooks = now === before ? standingLooks + 1 : 0;
        before = now;
        if (standingLooks === 0) return tell('', '');
        if (obstacle?.kind === 'redis')
          return tell(isDatabaseRefused(obstacle.why) ? 'database' : 'redis', textOf('redis', obstacle.why));
        if (looking) return;
        looking = true;
        look(hold, standingLooks)
          .catch((error: Error) => tell('redis', textOf('redis', error.message)))
          .finally(() => {
            looking = false;
          });
      }, LOOK_MS);
      timer.unref();
    },
    get words() {
      return words;
    },
    close: () => clearInterval(timer),
  };
}

const TEXTS = {
  busy: 'No rows are done: the intake holds as much work as is allowed at a time. Is a worker running? See imsync status.',
  memory: 'Redis is nearly full. This command waits until there is room, so that signups are not refused.',
} as const;

function textOf(kind: Obstacle | 'api', why: string): string {
  if (kind === 'api') return `account_check does not succeed (${why}). It is tried again until it does.`;
  if (kind === 'redis') return `Redis cannot be used (${why}). This command waits until it can.`;
  return kind === 'memory' ? TEXTS.memory : TEXTS.busy;
}

/** A hold or a pause stops all calls: its name, and a sentence about it. */
function stoppedText({ hold, pause }: FleetState): [string, string] | undefined {
  if (pause !== null)
    return [
      'paused',
      `An operator has paused all calls (${pause.reason || 'no reason given'}). This command waits for imsync resume.`,
    ];
  if (hold !== null)
    return [
      `held: ${hold.kind}`,
      `All calls are held (${hold.kind}: ${hold.errorCode} ${hold.errorInfo}). This command waits and continues by itself. See imsync status.`,
    ];
  return undefined;
}
