import type { Config } from '../../config/config.ts';
import type { FleetState, HoldState } from '../../hold/hold-state.ts';
import { isDatabaseRefused } from '../../redis/database.ts';
import { type Backfill, type BackfillReport, openBackfill } from '../../tasks/backfill/connect.ts';
import type { Obstacle } from '../../tasks/backfill/in-flight-limit.ts';
import { verdictWords } from '../../tasks/check-caller.ts';
import { notReached, readTextFile } from '../context.ts';
import type { RowsRun } from './rows-input.ts';

/** Runs `work` with Redis and, if `withChecks`, with account_check. Says why no rows are done meanwhile. */
export async function withBackfill<T>(
  config: Config,
  withChecks: boolean,
  { progress, signal }: RowsRun,
  work: (backfill: Backfill, stalls: StallReporter) => Promise<T>,
): Promise<T> {
  const stalls = createStallReporter(progress.say);
  let backfill: Backfill | undefined;
  try {
    const { report } = stalls;
    backfill = await openBackfill({ config, readFile: readTextFile, withChecks, signal, report }).catch(
      (error: Error) => {
        throw notReached(config, error);
      },
    );
    const { checks } = backfill;
    signal.addEventListener('abort', () => checks?.close());
    return await work(backfill, stalls);
  } finally {
    stalls.close();
    await backfill?.close();
  }
}

/** Says why no rows are done, once for each reason, and when they are done again. */
export interface StallReporter {
  readonly report: BackfillReport;
  /** Starts to look once a second. `rows`: how many rows are done. */
  watch(hold: HoldState, rows: () => number): void;
  /** The present obstacle in a few words; '' when there is none. */
  readonly words: string;
  close(): void;
}

/** `api`: account_check succeeds for nobody. `api for some`: it fails for some users only. */
type ObstacleOrApi = Obstacle | 'api' | 'api for some';

/** The name of an obstacle and a sentence about it. */
type Stall = readonly [name: string, text: string];

const LOOK_MS = 1_000;
/** A full intake is normal. It is reported only when no row is done for this many looks. */
const BUSY_LOOKS = 10;

function createStallReporter(say: (text: string) => void): StallReporter {
  let obstacle: { readonly kind: ObstacleOrApi; readonly why: string } | undefined;
  /** The name of the obstacle that was said last; '' for none. */
  let said = '';
  let isReading = false;
  let timer: NodeJS.Timeout | undefined;
  const tell = ([name, text]: Stall): void => {
    if (name !== said) say(text);
    said = name;
  };
  return {
    report: {
      obstacle(kind, why = '') {
        obstacle = kind === undefined ? undefined : { kind, why };
      },
      again(verdict, othersPass) {
        obstacle = { kind: othersPass ? 'api for some' : 'api', why: verdictWords(verdict) };
      },
      answered() {
        if (obstacle?.kind === 'api') obstacle = undefined;
      },
    },
    watch(hold, rows) {
      let before = rows();
      let idleLooks = 0;
      const tellWhy = (state: FleetState): void => {
        const { kind, why } = obstacle ?? {};
        const stall = stoppedStall(state) ?? obstacleStall(kind, why, idleLooks >= BUSY_LOOKS);
        if (stall !== undefined) tell(stall);
      };
      timer = setInterval(() => {
        const now = rows();
        idleLooks = now === before ? idleLooks + 1 : 0;
        before = now;
        if (idleLooks === 0) {
          tell(['', 'Continuing.']);
          // Successes do not end it: calls for other users succeed all the while.
          if (obstacle?.kind === 'api for some') obstacle = undefined;
        } else if (obstacle?.kind === 'redis') tell(redisStall(obstacle.why));
        else if (!isReading) {
          isReading = true;
          hold
            .read()
            .then(tellWhy, (error: Error) => tell(redisStall(error.message)))
            .finally(() => {
              isReading = false;
            });
        }
      }, LOOK_MS).unref();
    },
    get words() {
      return said && `waiting (${said})`;
    },
    close: () => clearInterval(timer),
  };
}

/** A hold or a pause stops all calls. */
function stoppedStall({ hold, pause }: FleetState): Stall | undefined {
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

function obstacleStall(
  kind: ObstacleOrApi | undefined,
  why: string | undefined,
  isLong: boolean,
): Stall | undefined {
  if (kind === 'api')
    return ['api', `account_check does not succeed (${why}). It is tried again until it does.`];
  if (kind === 'api for some')
    return [
      'users apart',
      `account_check does not succeed for some users, but for others (${why}). They are told apart; those who fail alone are counted as not checked.`,
    ];
  if (kind === 'memory')
    return [
      'memory',
      'Redis is nearly full. This command waits until there is room, so that signups are not refused.',
    ];
  if (kind === 'busy' && isLong)
    return [
      'no room',
      'No rows are done: the intake holds as much work as is allowed at a time. Is a worker running? See imsync status.',
    ];
  return undefined;
}

function redisStall(why: string): Stall {
  const name = isDatabaseRefused(why) ? 'database' : 'redis';
  return [name, `Redis cannot be used (${why}). This command waits until it can.`];
}
