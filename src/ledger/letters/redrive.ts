import type { ImportCommand } from '../../im/bodies.ts';
import type { AppRedis } from '../../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../../redis/script.ts';
import { MAX_RECORD_BYTES, RECORD_FORMAT } from '../record.ts';

const redriveScript = loadScript(
  import.meta.url,
  'letter-index.lua',
  'letter-text.lua',
  'letters-to-redrive.lua',
  '../record.lua',
  'redrive.lua',
);

/** Letters of one user in a call; more wait for another redrive, as do those beyond the bytes of a record. */
const MAX_USER_EVENTS = 100;
/** Letters that one step looks at before it leaves the other users to the next: some milliseconds of Redis. */
const MAX_LOOKED = 300;

export interface RedriveRequest {
  /** Each once; as many as the batch call takes, at most. */
  readonly users: readonly string[];
  /** Who asks, for the letters' history. */
  readonly by: string;
  readonly batchCommand: ImportCommand;
  readonly singleCommand: ImportCommand;
  /** Redrive calls that may be open at a time, over the fleet. */
  readonly maxOpenCalls: number;
  /** Answers what it would do, and changes nothing. */
  readonly dryRun: boolean;
  /** Letters before their not-before date, too. */
  readonly early: boolean;
  /** Letters of reason `invalid`, too. */
  readonly invalid: boolean;
  /** Hosted mode: goes along with every event, since letters hold none. */
  readonly password?: string;
}

/**
 * - `redriven`: in a call now.
 * - `full`: enough redrive calls are open; ask again later.
 * - `busy`: the user is in a call now; ask again later.
 * - `none`: the user has no dead letter, or none any more.
 * - `early`: a letter of the user must not be tried before its date.
 * - `invalid`: all are invalid, and those were not asked for.
 * - `partial`: the letters hold less than what was sent, so that only a new push helps.
 */
export type RedriveWord = 'redriven' | 'full' | 'busy' | 'none' | 'early' | 'invalid' | 'partial';

export interface RedriveAnswer {
  /** Why calls do not go out at present. */
  readonly stopped: 'held' | 'paused' | null;
  /**
   * In the order of the users asked for; `letters` is how many of theirs it is about. Users at the end may be
   * missing: enough letters were looked at, so they are to be asked for again.
   */
  readonly users: readonly {
    readonly userId: string;
    readonly word: RedriveWord;
    readonly letters: number;
  }[];
  /** Their jobs are to be added; the sweep makes up for it if that fails. */
  readonly calls: readonly { readonly callId: string; readonly command: ImportCommand }[];
}

/** Moves the letters of some users into calls, as far as that is allowed now. */
export async function redriveUsers(
  { redis, keys }: AppRedis,
  request: RedriveRequest,
): Promise<RedriveAnswer> {
  const limits = {
    format: RECORD_FORMAT,
    maxEvents: MAX_USER_EVENTS,
    maxBytes: MAX_RECORD_BYTES,
    maxLooked: MAX_LOOKED,
  };
  const reply = await askScript(redis, redriveScript, keys, { ...limits, ...request });
  const answer = fieldsOf<{ stopped: RedriveAnswer['stopped']; users: unknown[]; calls: unknown[] }>(reply);
  return {
    stopped: answer.stopped,
    users: answer.users.map((one) => fieldsOf<RedriveAnswer['users'][number]>(one)),
    calls: answer.calls.map((one) => fieldsOf<RedriveAnswer['calls'][number]>(one)),
  };
}
