import type { Config } from '../../config/config.ts';
import type { FleetState, HoldState } from '../../hold/hold-state.ts';
import { within } from '../../lifecycle/wait.ts';
import { streamFaultOf } from '../../producer/stream-fault.ts';
import { isDatabaseRefused } from '../../redis/database.ts';
import { keysOf } from '../../redis/keys.ts';
import { type Backfill, type BackfillReport, openBackfill } from '../../tasks/backfill/connect.ts';
import type { Obstacle } from '../../tasks/backfill/in-flight-limit.ts';
import { verdictWords } from '../../tasks/check-caller.ts';
import { notReached, readTextFile } from '../context.ts';
import type { RowsProgress } from '../progress.ts';
import type { RowsRun } from './rows-input.ts';

/** `api`: account_check succeeds for nobody. `api for some`: it fails for some users only. */
type ObstacleOrApi = Obstacle | 'api' | 'api for some';

/** The name of an obstacle and a sentence about it. */
type Stall = readonly [name: string, text: string];

const LOOK_MS = 1_000;
const ANSWER_MS = 5_000;
/** A full intake is normal. It is reported only when no row is done for this many looks. */
const BUSY_LOOKS = 10;

/** Runs `work` with Redis and, if `withChecks`, with account_check. Says why no rows are done meanwhile. */
export async function withBackfill<T>(
  config: Config,
  withChecks: boolean,
  { progress, signal }: Pick<RowsRun, 'progress' | 'signal'>,
  work: (backfill: Backfill) => Promise<T>,
): Promise<T> {
  const { report, look } = createStallReporter(progress, keysOf(config.app.sdkAppId).stream);
  const backfill = await openBackfill({ config, readFile: readTextFile, withChecks, signal, report }).catch(
    (error: Error) => {
      throw notReached(config, error);
    },
  );
  signal.addEventListener('abort', () => backfill.checks?.close());
  const timer = setInterval(() => look(backfill.hold), LOOK_MS).unref();
  try {
    return await work(backfill);
  } finally {
    clearInterval(timer);
    await backfill.close();
  }
}

/** Says why no rows are done, once for each reason, and when they are done again. */
function createStallReporter(progress: RowsProgress, stream: string) {
  let obstacle: { readonly kind: ObstacleOrApi; readonly why: string } | undefined;
  /** The name of the obstacle that was said last; '' for none. */
  let said = '';
  let shownBefore = progress.shown();
  let idleLooks = 0;
  const tell = ([name, text]: Stall): void => {
    if (name !== said) progress.say(text);
    said = name;
    progress.obstacle = said && `waiting (${said})`;
  };
  const report: BackfillReport = {
    obstacle(kind, why = '') {
      obstacle = kind === undefined ? undefined : { kind, why };
    },
    again(verdict, othersPass) {
      obstacle = { kind: othersPass ? 'api for some' : 'api', why: verdictWords(verdict) };
    },
    answered() {
      if (obstacle?.kind === 'api') obstacle = undefined;
    },
  };
  const tellWhy = (state: FleetState): void => {
    const { kind, why } = obstacle ?? {};
    const isNormal = kind === undefined || (kind === 'busy' && idleLooks < BUSY_LOOKS);
    const stall = stoppedStall(state) ?? (isNormal ? undefined : STALLS[kind]?.(why ?? ''));
    if (stall !== undefined) tell(stall);
  };
  const look = (hold: HoldState): void => {
    const shown = progress.shown();
    idleLooks = shown === shownBefore ? idleLooks + 1 : 0;
    shownBefore = shown;
    if (idleLooks === 0) {
      tell(['', 'Continuing.']);
      // Successes do not end it: calls for other users succeed all the while.
      if (obstacle?.kind === 'api for some') obstacle = undefined;
    } else if (obstacle?.kind === 'redis') tell(redisStall(obstacle.why, stream));
    else
      within(hold.read(), ANSWER_MS, 'no answer').then(tellWhy, ({ message }: Error) =>
        tell(redisStall(message, stream)),
      );
  };
  return { report, look };
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

const STALLS: Readonly<Partial<Record<ObstacleOrApi, (why: string) => Stall>>> = {
  api: (why) => ['api', `account_check does not succeed (${why}). It is tried again until it does.`],
  'api for some': (why) => [
    'users apart',
    `account_check does not succeed for some users, but for others (${why}). They are told apart; those who fail alone are counted as not checked.`,
  ],
  memory: () => [
    'memory',
    'Redis is nearly full. This command waits until there is room, so that signups are not refused.',
  ],
  busy: () => [
    'no room',
    'No rows are done: the intake holds as much work as is allowed at a time. Is a worker running? See imsync status.',
  ],
};

function redisStall(why: string, stream: string): Stall {
  const fault = streamFaultOf(why, stream);
  if (fault !== undefined) return ['stream', `${fault.text}. ${fault.todo}. This command waits until then.`];
  const name = isDatabaseRefused(why) ? 'database' : 'redis';
  return [name, `Redis cannot be used (${why}). This command waits until it can.`];
}
