import type { Config } from '../config/config.ts';
import { type Answer, type ApiAnswer, FAULT_WORDS, type FaultAnswer, type HttpAnswer } from './answers.ts';
import type { CommandName } from './commands.ts';
import { VERDICT_TABLES, type VerdictRow } from './verdict-rows.ts';

/** What a verdict takes over from the row of its code. */
type FromRow = Omit<VerdictRow, 'codes' | 'source' | 'mayStillHappen'>;

/** The meaning of an answer: its class and further facts. */
export interface Verdict extends FromRow {
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

/**
 * Whether a command's table lists the code. Metrics use it, since their labels must not grow without bound.
 */
export function isListedCode(command: CommandName, errorCode: number): boolean {
  return byCode.get(command)?.has(errorCode) === true;
}

/** What a code means, by the table of its command; '' if it lists none. */
export function codeMeaning(command: CommandName, errorCode: number): string {
  return byCode.get(command)?.get(errorCode)?.meaning ?? '';
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

const UNLISTED = { class: 'unknown', meaning: 'a code that no table lists' } as const;

function apiVerdict(row: VerdictRow | undefined, { errorCode, errorInfo, httpStatus }: ApiAnswer): Verdict {
  const outcomeKnown = row?.mayStillHappen !== true;
  return { errorCode, errorInfo, httpStatus, outcomeKnown, ...(row ?? UNLISTED) };
}

/**
 * The API answers every call with HTTP 200 (API reference). Another status comes from something in between.
 */
function httpVerdict({ httpStatus, errorInfo, retryAfterMs }: HttpAnswer): Verdict {
  return { errorCode: 0, errorInfo, httpStatus, retryAfterMs, ...httpMeaning(httpStatus) };
}

function httpMeaning(httpStatus: number): FromRow & Pick<Verdict, 'outcomeKnown' | 'tooLarge'> {
  if (httpStatus === 429) {
    const meaning = 'too many requests, says HTTP';
    return { class: 'throttle', meaning, outcomeKnown: true, throttles: 'command' };
  }
  if (httpStatus === 407) {
    const meaning = 'the proxy wants another user or password';
    return { class: 'retry', meaning, outcomeKnown: true, holdKind: 'proxy' };
  }
  if (httpStatus >= 500 || httpStatus === 408 || httpStatus < 300) {
    const meaning = 'the service is away, or somebody answered in its place';
    return { class: 'retry', meaning, outcomeKnown: false };
  }
  if (httpStatus === 413) {
    // The body of a single user can only be large because of its profile.
    const meaning = 'the body is too large for something on the way';
    return { class: 'body', meaning, outcomeKnown: true, profileFault: true, tooLarge: true };
  }
  const meaning = 'not the API: the host, the path or the way there is wrong';
  return { class: 'app', meaning, outcomeKnown: true, holdKind: 'configuration' };
}

function faultVerdict({ fault, errorInfo, sent }: FaultAnswer): Verdict {
  const meaning = FAULT_WORDS[fault];
  const known = {
    class: 'retry',
    meaning,
    outcomeKnown: !sent,
    errorCode: 0,
    errorInfo,
    httpStatus: 0,
  } as const;
  return fault === 'proxy' ? { ...known, holdKind: 'proxy' } : known;
}
