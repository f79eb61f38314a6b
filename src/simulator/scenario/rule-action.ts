import {
  choiceAt,
  type Fields,
  InvalidInput,
  latencyAt,
  objectAt,
  textAt,
  textsAt,
  wholeNumberAt,
} from './input.ts';

/**
 * What a rule does: at most one of errorCode, failAccounts, accountCode, httpStatus, garbage, truncate,
 * hangMs, reset; and beside it, or alone, latencyMs and strangers.
 */
export interface RuleAction {
  /** The whole call is answered with this code, listed or not. */
  readonly errorCode?: number;
  /** ErrorInfo of errorCode or accountCode. */
  readonly errorInfo?: string;
  /** The matching accounts of a batch are listed in FailAccounts and not imported. */
  readonly failAccounts?: true;
  /** With failAccounts: what a call for that account alone is answered with. */
  readonly singleCode?: number;
  /** IDs that were not in the request, listed in FailAccounts too (the documents' sample has one). */
  readonly strangers?: readonly string[];
  /** The account is refused with this code; what that does to a batch is badAccountsInBatch. */
  readonly accountCode?: number;
  /** An HTTP answer of this status with an HTML page, as a gateway gives it. */
  readonly httpStatus?: number;
  /** With httpStatus: the Retry-After header. */
  readonly retryAfterSeconds?: number;
  /** HTTP 200 with this text, or some HTML, instead of JSON. */
  readonly garbage?: true | string;
  /** Half the answer, then the connection closes. */
  readonly truncate?: true;
  /** The answer comes after so many milliseconds; −1 for never. */
  readonly hangMs?: number;
  /** The connection is reset before the call took effect, or after. */
  readonly reset?: 'before' | 'after';
  /** [min, max] of this call's latency, instead of the general one. */
  readonly latencyMs?: readonly [number, number];
  /**
   * When a call that ends in errorCode, httpStatus, garbage, truncate or hangMs takes effect.
   * errorCode and httpStatus: never, the others: at-answer, unless this says otherwise.
   */
  readonly work?: WorkTime;
}

export type WorkTime = 'never' | 'at-arrival' | 'at-answer';

/** How the whole call ends. */
export type WholeCallFault = { readonly work: WorkTime } & (
  | { readonly kind: 'error'; readonly code: number; readonly info: string | undefined }
  | { readonly kind: 'http'; readonly status: number; readonly retryAfterSeconds: number | undefined }
  | { readonly kind: 'garbage'; readonly text: string }
  | { readonly kind: 'truncate' }
  | { readonly kind: 'hang'; readonly ms: number }
  | { readonly kind: 'reset' }
);

/** How one account of a call ends. `code` 0: only a batch fails it. */
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
const WORK_TIMES: readonly WorkTime[] = ['never', 'at-arrival', 'at-answer'];
const MAX_CODE = 2147483647;
const GARBAGE = '<html><body>not what you asked for</body></html>';

type Reader = (value: unknown, at: string) => unknown;
const READERS: { readonly [K in keyof Required<RuleAction>]: Reader } = {
  errorCode: (value, at) => wholeNumberAt(value, at, 1, MAX_CODE),
  errorInfo: (value, at) => textAt(value, at, 1000),
  failAccounts: (value, at) => trueAt(value, at),
  singleCode: (value, at) => wholeNumberAt(value, at, 1, MAX_CODE),
  strangers: (value, at) => textsAt(value, at, 100, 256),
  accountCode: (value, at) => wholeNumberAt(value, at, 1, MAX_CODE),
  httpStatus: (value, at) => wholeNumberAt(value, at, 300, 599),
  retryAfterSeconds: (value, at) => wholeNumberAt(value, at, 0, 86_400),
  garbage: (value, at) => (value === true ? true : textAt(value, at, 10_000)),
  truncate: (value, at) => trueAt(value, at),
  hangMs: (value, at) => wholeNumberAt(value, at, -1, 3_600_000),
  reset: (value, at) => choiceAt(value, at, ['before', 'after']),
  latencyMs: latencyAt,
  work: (value, at) => choiceAt(value, at, WORK_TIMES),
};
const ACTION_KEYS = Object.keys(READERS) as readonly (keyof RuleAction)[];

/** Which kinds of action a detail may stand beside. */
const DETAILS: Readonly<Record<string, readonly string[]>> = {
  errorInfo: ['errorCode', 'accountCode'],
  singleCode: ['failAccounts'],
  retryAfterSeconds: ['httpStatus'],
  work: ['errorCode', 'httpStatus', 'garbage', 'truncate', 'hangMs'],
};

/** An action from parsed JSON. Throws InvalidInput. */
export function readAction(value: unknown, place: string): RuleAction {
  const fields = objectAt(value, place, ACTION_KEYS);
  const action: Record<string, unknown> = {};
  for (const key of ACTION_KEYS) {
    if (fields[key] !== undefined) action[key] = READERS[key](fields[key], `${place}.${key}`);
  }
  checkTogether(action, place);
  return action;
}

/** The fault of a whole call that `action` asks for, if it does. */
export function wholeCallFault(action: RuleAction): WholeCallFault | undefined {
  const { errorCode, httpStatus, garbage, hangMs } = action;
  if (errorCode !== undefined) {
    return { kind: 'error', work: action.work ?? 'never', code: errorCode, info: action.errorInfo };
  }
  if (httpStatus !== undefined) {
    const retryAfterSeconds = action.retryAfterSeconds;
    return { kind: 'http', work: action.work ?? 'never', status: httpStatus, retryAfterSeconds };
  }
  const work = action.work ?? 'at-answer';
  if (garbage !== undefined) return { kind: 'garbage', work, text: garbage === true ? GARBAGE : garbage };
  if (action.truncate) return { kind: 'truncate', work };
  if (hangMs !== undefined) return { kind: 'hang', work, ms: hangMs };
  if (action.reset === undefined) return undefined;
  return { kind: 'reset', work: action.reset === 'after' ? 'at-answer' : 'never' };
}

/** The fault of single accounts that `action` asks for, if it does. */
export function accountFault(action: RuleAction): AccountFault | undefined {
  if (action.failAccounts) return { kind: 'listed', code: action.singleCode ?? 0, info: undefined };
  if (action.accountCode === undefined) return undefined;
  return { kind: 'refused', code: action.accountCode, info: action.errorInfo };
}

function checkTogether(action: Fields, place: string): void {
  const kinds = KINDS.filter((kind) => action[kind] !== undefined);
  if (kinds.length > 1) throw new InvalidInput(`${place} has both ${kinds.join(' and ')}; take one.`);
  if (kinds.length === 0 && action.latencyMs === undefined && action.strangers === undefined) {
    throw new InvalidInput(`${place} needs one of: ${KINDS.join(', ')}, latencyMs, strangers.`);
  }
  for (const [detail, hosts] of Object.entries(DETAILS)) {
    if (action[detail] !== undefined && !hosts.includes(kinds[0] ?? '')) {
      throw new InvalidInput(`${place}.${detail} needs ${hosts.join(' or ')} beside it.`);
    }
  }
}

function trueAt(value: unknown, place: string): true {
  if (value !== true) throw new InvalidInput(`${place} can only be true.`);
  return true;
}
