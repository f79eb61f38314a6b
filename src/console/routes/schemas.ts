import { deadReasons, type LetterFilter, letterStates } from '../../ledger/letters/dead-letters.ts';

/** JSON schemas of what requests may hold: all of it is bounded. docs/console-api.yaml says the same. */

const MOST_MS = 100_000_000_000;
const MOST_CODE = 9_999_999_999;

const age = { type: 'integer', minimum: 0, maximum: MOST_MS } as const;
const code = { type: 'integer', minimum: 0, maximum: MOST_CODE } as const;
const user = { type: 'string', minLength: 1, maxLength: 200 } as const;

/** The query of a list of letters. */
export interface LetterQuery {
  readonly state?: LetterFilter['state'];
  readonly reason?: LetterFilter['reason'];
  readonly code?: number;
  readonly user?: string;
  readonly olderThanMs?: number;
  readonly newerThanMs?: number;
  readonly limit?: number;
}

const filterFields = {
  reason: { enum: deadReasons },
  code,
  user,
  olderThanMs: age,
  newerThanMs: age,
} as const;

export const letterQuery = {
  type: 'object',
  additionalProperties: false,
  properties: { ...filterFields, state: { enum: [...letterStates, 'all'] } },
} as const;

export const pageFields = {
  limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 },
  cursor: { type: 'string', maxLength: 400 },
} as const;

export const letterFilter = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  properties: { ...filterFields, limit: { type: 'integer', minimum: 1, maximum: 1_000_000_000 } },
} as const;

/** Without a type, so that nothing is coerced: `null` would mean that it is done for real. */
export const trueOrFalse = { enum: [true, false] } as const;

const eventId = { type: 'string', pattern: '^\\d{1,20}-\\d{1,20}$' } as const;
export const eventIds = {
  type: 'array',
  minItems: 1,
  maxItems: 1_000,
  uniqueItems: true,
  items: eventId,
} as const;
export const eventIdParams = objectOf({ eventId });
export const runIdParams = objectOf({ id: { type: 'string', pattern: '^r\\d{1,15}$' } });
export const userIdParams = objectOf({ userId: user });

/** An object with these fields and no others, all of them required. */
function objectOf(properties: Readonly<Record<string, object>>) {
  return { type: 'object', additionalProperties: false, required: Object.keys(properties), properties };
}

export function filterOf(query: LetterQuery): LetterFilter {
  const { state = 'dead', reason, code: errorCode, user: userId, olderThanMs, newerThanMs, limit } = query;
  return { state, reason, errorCode, userId, olderThanMs, newerThanMs, limit };
}
