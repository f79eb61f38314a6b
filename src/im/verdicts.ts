import type { Config } from '../config/config.ts';
import type { Answer, ApiAnswer, FaultAnswer, HttpAnswer } from './answers.ts';
import type { CommandName } from './commands.ts';
import { VERDICT_TABLES, type VerdictClass, type VerdictRow } from './verdict-rows.ts';

/** What a verdict takes over from its row. */
type ForVerdict = 'throttles' | 'holdKind' | 'minProbeGapMs' | 'notBeforeMonths';

/** The meaning of an answer: its class and further facts. */
export interface Verdict extends Pick<VerdictRow, ForVerdict> {
  readonly class: VerdictClass;
  /** 0 if there is none. */
  readonly errorCode: number;
  readonly errorInfo: string;
  /** 0 if no answer came. */
  readonly httpStatus: number;
  /**
   * False while the call may still take effect: it was sent and no answer came, a gateway answered in place
   * of the API, or the service timed out inside. Then nothing newer of these users may be sent until the call
   * can no longer land. After an internal error (70500, 40006) the call takes no effect.
   */
  readonly outcomeKnown: boolean;
  readonly meaning: string;
  /** The profile is refused and not the account. An import without the profile passes. */
  readonly profileFault: boolean;
  /** A new UserSig may help: sign again and try once before a hold. */
  readonly signAnew: boolean;
  /** Class body: it was refused for its size, so two smaller ones may pass. */
  readonly tooLarge?: true;
  readonly retryAfterMs?: number;
}

const byCode: ReadonlyMap<CommandName, ReadonlyMap<number, VerdictRow>> = new Map(
  (Object.keys(VERDICT_TABLES) as CommandName[]).map((command) => [
    command,
    new Map(VERDICT_TABLES[command].flatMap((row) => row.codes.map((code) => [code, row]))),
  ]),
);

/** Classes that an operator declares for error codes, for every command. Success cannot be declared. */
export type VerdictOverrides = Config['verdicts'];

const NO_OVERRIDES: VerdictOverrides = {};

/** Judges an answer by the table of its command, since a code may mean different things. */
export function verdictOf(command: CommandName, answer: Answer, overrides = NO_OVERRIDES): Verdict {
  switch (answer.kind) {
    case 'api':
      return apiVerdict(rowOf(command, answer.errorCode, overrides), answer);
    case 'http':
      return httpVerdict(answer);
    case 'fault':
      return faultVerdict(answer);
  }
}

/** Every effective row of every command, for tests. */
export function* verdictRows(): Generator<{ command: CommandName; row: VerdictRow }> {
  for (const [command, rows] of byCode) {
    for (const row of new Set(rows.values())) yield { command, row };
  }
}

/**
 * Whether a command's table lists the code. Metrics use it, since their labels must not grow without bound.
 */
export function isListedCode(command: CommandName, errorCode: number): boolean {
  return byCode.get(command)?.has(errorCode) === true;
}

function rowOf(command: CommandName, errorCode: number, overrides: VerdictOverrides): VerdictRow | undefined {
  const listed = byCode.get(command)?.get(errorCode);
  const declared = Object.hasOwn(overrides, errorCode) ? overrides[errorCode] : undefined;
  return declared === undefined || declared === listed?.class
    ? listed
    : declaredRow(errorCode, declared, listed);
}

/** Makes a row for a declared class. It takes nothing from the listed row but the meaning. */
function declaredRow(
  errorCode: number,
  declared: VerdictOverrides[string],
  listed: VerdictRow | undefined,
): VerdictRow {
  return {
    codes: [errorCode],
    class: declared,
    meaning: `${listed?.meaning ?? 'a code that no table lists'} (declared ${declared} by the configuration)`,
    source: 'the configuration',
    ...(declared === 'app' && { holdKind: 'configuration' as const }),
    ...(declared === 'throttle' && { throttles: 'command' as const }),
    // It is unknown whether the service had begun, so nothing newer is sent while it may land.
    ...(declared === 'retry' && { mayStillHappen: true as const }),
  };
}

function apiVerdict(row: VerdictRow | undefined, answer: ApiAnswer): Verdict {
  const { errorCode, errorInfo, httpStatus } = answer;
  if (row === undefined) {
    return { errorCode, errorInfo, httpStatus, ...plain('unknown', 'a code that no table lists', true) };
  }
  return {
    errorCode,
    errorInfo,
    httpStatus,
    class: row.class,
    outcomeKnown: row.mayStillHappen !== true,
    meaning: row.meaning,
    profileFault: row.profileFault === true,
    signAnew: row.signAnew === true,
    throttles: row.throttles,
    holdKind: row.holdKind,
    minProbeGapMs: row.minProbeGapMs,
    notBeforeMonths: row.notBeforeMonths,
  };
}

/**
 * The API answers every call with HTTP 200 (API reference). Another status comes from something in between.
 */
function httpVerdict({ httpStatus, errorInfo, retryAfterMs }: HttpAnswer): Verdict {
  const base = { errorCode: 0, errorInfo, httpStatus, retryAfterMs };
  if (httpStatus === 429) {
    return { ...plain('throttle', 'too many requests, says HTTP', true), ...base, throttles: 'command' };
  }
  if (httpStatus >= 500 || httpStatus === 408 || httpStatus < 300) {
    return { ...plain('retry', 'the service is away, or somebody answered in its place', false), ...base };
  }
  if (httpStatus === 413) {
    // The body of a single user can only be large because of its profile.
    const meaning = 'the body is too large for something on the way';
    return { ...plain('body', meaning, true), ...base, profileFault: true, tooLarge: true };
  }
  const meaning = 'not the API: the host, the path or the way there is wrong';
  return { ...plain('app', meaning, true), ...base, holdKind: 'configuration' };
}

const FAULT_MEANINGS: Readonly<Record<FaultAnswer['fault'], string>> = {
  timeout: 'no answer in time',
  reset: 'the connection broke before the answer was there',
  connect: 'no connection to the host',
  dns: "the host's name has no address",
  tls: 'no secure connection to the host',
  garbage: 'the answer could not be read',
  aborted: 'the call was given up',
};

function faultVerdict({ fault, errorInfo, sent }: FaultAnswer): Verdict {
  return { ...plain('retry', FAULT_MEANINGS[fault], !sent), errorCode: 0, errorInfo, httpStatus: 0 };
}

function plain(verdict: VerdictClass, meaning: string, outcomeKnown: boolean) {
  return { class: verdict, meaning, outcomeKnown, profileFault: false, signAnew: false };
}
