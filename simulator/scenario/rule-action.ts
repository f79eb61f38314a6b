import {
  choiceAt,
  fieldsAt,
  InvalidInput,
  latencyAt,
  type Readers,
  textAt,
  textsAt,
  wholeNumberAt,
} from './input.ts';

/**
 * What a rule does. It has at most one of errorCode, failAccounts, accountCode, httpStatus, garbage,
 * truncate, hangMs and reset. latencyMs and strangers may stand beside it or alone.
 */
export interface RuleAction {
  /** The whole call is answered with this code. It need not be a documented one. */
  readonly errorCode?: number;
  /** ErrorInfo of errorCode or accountCode. */
  readonly errorInfo?: string;
  /** The matching accounts of a batch are listed in FailAccounts and not imported. */
  readonly failAccounts?: true;
  /** With failAccounts: the code that answers a call for this account alone. */
  readonly singleCode?: number;
  /** FailAccounts also lists these IDs, which were not in the request. The documents' sample has one. */
  readonly strangers?: readonly string[];
  /** The account is refused with this code. badAccountsInBatch decides what happens to its batch. */
  readonly accountCode?: number;
  /** The answer has this HTTP status and an HTML page, as from a gateway. */
  readonly httpStatus?: number;
  /** With httpStatus: the Retry-After header. */
  readonly retryAfterSeconds?: number;
  /** The answer is HTTP 200 with this text instead of JSON. `true` sends some HTML. */
  readonly garbage?: true | string;
  /** Half of the answer is sent, then the connection closes. */
  readonly truncate?: true;
  /** The answer comes after this many milliseconds; −1 means never. */
  readonly hangMs?: number;
  /** The connection is reset before or after the call takes effect. */
  readonly reset?: 'before' | 'after';
  /** [min, max] of this call's latency. It replaces the general one. */
  readonly latencyMs?: readonly [number, number];
  /**
   * When a call with errorCode, httpStatus, garbage, truncate or hangMs takes effect.
   * The default is `never` for errorCode and httpStatus, and `at-answer` for the others.
   */
  readonly work?: WorkTime;
}

export type WorkTime = 'never' | 'at-arrival' | 'at-answer';

/** How the whole call ends. */
export type CallFault = { readonly work: WorkTime } & (
  | { readonly kind: 'error'; readonly code: number; readonly info: string | undefined }
  | { readonly kind: 'http'; readonly status: number; readonly retryAfterSeconds: number | undefined }
  | { readonly kind: 'garbage'; readonly text: string }
  | { readonly kind: 'truncate' }
  | { readonly kind: 'hang'; readonly ms: number }
  | { readonly kind: 'reset' }
);

/** How one account of a call ends. With code 0 it fails only in a batch. */
export interface AccountFault {
  readonly kind: 'listed' | 'refused';
  readonly code: number;
  readonly info: string | undefined;
}

const KINDS = [
  'errorCode',
  'failAccounts',
  'accountCode',
  'httpStatus',
  'garbage',
  'truncate',
  'hangMs',
  'reset',
] as const;
const GARBAGE = '<html><body>not what you asked for</body></html>';

const READERS: Readers<RuleAction> = {
  errorCode: codeAt,
  errorInfo: (value, at) => textAt(value, at, 1000),
  failAccounts: trueAt,
  singleCode: codeAt,
  strangers: (value, at) => textsAt(value, at, 100, 256),
  accountCode: codeAt,
  httpStatus: (value, at) => wholeNumberAt(value, at, 300, 599),
  retryAfterSeconds: (value, at) => wholeNumberAt(value, at, 0, 86_400),
  garbage: (value, at) => (value === true ? true : textAt(value, at, 10_000)),
  truncate: trueAt,
  hangMs: (value, at) => wholeNumberAt(value, at, -1, 3_600_000),
  reset: (value, at) => choiceAt(value, at, ['before', 'after']),
  latencyMs: latencyAt,
  work: (value, at) => choiceAt(value, at, ['never', 'at-arrival', 'at-answer']),
};

/** The kinds of action that each detail may stand beside. */
const DETAILS: Readonly<Record<string, readonly string[]>> = {
  errorInfo: ['errorCode', 'accountCode'],
  singleCode: ['failAccounts'],
  retryAfterSeconds: ['httpStatus'],
  work: ['errorCode', 'httpStatus', 'garbage', 'truncate', 'hangMs'],
};

/** Reads an action from parsed JSON. Throws InvalidInput. */
export function readAction(value: unknown, place: string): RuleAction {
  const action = fieldsAt(value, place, READERS);
  const kinds = KINDS.filter((kind) => action[kind] !== undefined);
  if (kinds.length > 1) throw new InvalidInput(`${place} has both ${kinds.join(' and ')}; use one.`);
  if (kinds.length === 0 && action.latencyMs === undefined && action.strangers === undefined) {
    throw new InvalidInput(`${place} needs one of: ${KINDS.join(', ')}, latencyMs, strangers.`);
  }
  for (const [detail, hosts] of Object.entries(DETAILS)) {
    if (action[detail as keyof RuleAction] !== undefined && !hosts.includes(kinds[0] ?? '')) {
      throw new InvalidInput(`${place}.${detail} needs ${hosts.join(' or ')} beside it.`);
    }
  }
  return action;
}

/** Returns the fault of whole calls that `action` asks for, if any. */
export function callFaultOf(action: RuleAction): CallFault | undefined {
  const { errorCode, httpStatus, garbage, hangMs } = action;
  if (errorCode !== undefined) {
    return { kind: 'error', work: action.work ?? 'never', code: errorCode, info: action.errorInfo };
  }
  if (httpStatus !== undefined) {
    const { work = 'never', retryAfterSeconds } = action;
    return { kind: 'http', work, status: httpStatus, retryAfterSeconds };
  }
  const work = action.work ?? 'at-answer';
  if (garbage !== undefined) return { kind: 'garbage', work, text: garbage === true ? GARBAGE : garbage };
  if (action.truncate) return { kind: 'truncate', work };
  if (hangMs !== undefined) return { kind: 'hang', work, ms: hangMs };
  if (action.reset === undefined) return undefined;
  return { kind: 'reset', work: action.reset === 'after' ? 'at-answer' : 'never' };
}

/** Returns the fault of single accounts that `action` asks for, if any. */
export function accountFaultOf(action: RuleAction): AccountFault | undefined {
  if (action.failAccounts) return { kind: 'listed', code: action.singleCode ?? 0, info: undefined };
  if (action.accountCode === undefined) return undefined;
  return { kind: 'refused', code: action.accountCode, info: action.errorInfo };
}

function codeAt(value: unknown, place: string): number {
  return wholeNumberAt(value, place, 1, 2147483647);
}

function trueAt(value: unknown, place: string): true {
  if (value !== true) throw new InvalidInput(`${place} can only be true.`);
  return true;
}
