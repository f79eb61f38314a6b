import { deadReasons, letterStates } from '../ledger/letters/dead-letters.ts';
import { MAX_USERS } from './body.ts';
import { REQUEST_ERRORS } from './refused-request.ts';

/** The schemas of the OpenAPI document: the users of a request, and the bodies of answers. */

type Schema = Readonly<Record<string, unknown>>;

export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const text = (description?: string): Schema => ({ type: 'string', ...(description && { description }) });
const textOrNull = (description: string): Schema => ({ type: ['string', 'null'], description });
const integer = (description?: string): Schema => ({ type: 'integer', ...(description && { description }) });
const count: Schema = { type: 'integer', minimum: 0 };
const time = (what: string): Schema => integer(`${what}, ms since 1970.`);
const timeOrNull = (what: string): Schema => ({
  type: ['integer', 'null'],
  description: `${what}, ms since 1970; null: not known, or none.`,
});
const oneOf = (values: readonly unknown[], description?: string): Schema => ({
  enum: values,
  ...(description && { description }),
});
const list = (items: Schema, description?: string): Schema => ({
  type: 'array',
  items,
  ...(description && { description }),
});

/** An object with these fields and no others; all are required but those in `optional`. */
function object(
  properties: Readonly<Record<string, Schema>>,
  optional: Schema = {},
  more: Schema = {},
): Schema {
  return {
    type: 'object',
    required: Object.keys(properties),
    properties: { ...properties, ...optional },
    additionalProperties: false,
    ...more,
  };
}

/** The fields of an event (event/field-names.ts). */
const user: Schema = object(
  {
    userId: {
      ...text(
        'Printable ASCII without spaces. A JSON number is refused: large ones lose digits on their way.',
      ),
      ...{ minLength: 1, maxLength: 32, pattern: '^[!-~]+$' },
    },
  },
  {
    nick: textOrNull('Up to 500 bytes of UTF-8; a longer one costs the profile, not the account.'),
    faceUrl: textOrNull('Up to 500 bytes.'),
    type: oneOf(
      [0, 1, '0', '1', '', null],
      '0 ordinary (default). 1 robot: refused unless IMSYNC_API=legacy, the only form with a Type.',
    ),
    occurredAt: {
      type: ['string', 'integer', 'null'],
      description: 'RFC 3339, or milliseconds since 1970. Reported; orders nothing.',
    },
    replyTo: {
      ...textOrNull('A Redis channel on which the outcome is published. Not together with Prefer: wait.'),
      maxLength: 200,
    },
    traceparent: textOrNull("W3C trace context; default: the request's."),
    identifierType: oneOf([1, 2, 3, '1', '2', '3', '', null], 'Hosted mode: 1 phone, 2 e-mail, 3 string.'),
    password: { ...textOrNull('Hosted mode: 8 to 16 characters.'), writeOnly: true },
  },
  { additionalProperties: text('Further fields travel along with the event.') },
);

/** The body of POST /v1/users as JSON. */
export const usersSchema: Schema = {
  oneOf: [ref('User'), { ...list(ref('User')), minItems: 1, maxItems: MAX_USERS }],
};

const place = {
  index: { ...count, description: 'Position in the body, from 0; blank lines do not count.' },
  userId: text('As it came; absent when there was none.'),
};

const accepted: Schema = object(
  { index: place.index, eventId: { type: 'string', pattern: '^[0-9]+-[0-9]+$' } },
  {
    userId: place.userId,
    outcome: oneOf(
      ['imported', 'superseded', 'dead-lettered', 'pending'],
      'With Prefer: wait. `superseded`: a newer event of the user was imported in its place. ' +
        '`pending`: not known in time, and worked off all the same.',
    ),
    errorCode: integer("The API's code; 0 if there is none."),
    reason: oneOf(deadReasons, 'Why it was dead-lettered.'),
    hasAccount: {
      type: 'boolean',
      description: 'The user certainly has an account now: a message can reach them.',
    },
  },
  {
    description:
      'Redis has it: it will be imported, superseded by a newer event of the user, or dead-lettered.',
    dependentRequired: { outcome: ['errorCode', 'hasAccount'] },
  },
);

const refused: Schema = object(
  {
    index: place.index,
    error: oneOf(
      ['invalid', 'not-accepted'],
      '`not-accepted`: Redis did not acknowledge it. Send it again; a repeat does no harm.',
    ),
    reasons: { ...list(text()), minItems: 1 },
  },
  { userId: place.userId },
);

const attempt: Schema = object(
  {
    at: time('When it was made'),
    command: text(),
    errorCode: integer('0 when the API gave none.'),
    httpStatus: integer('0 when no answer came.'),
  },
  {},
  { additionalProperties: true },
);

const letter: Schema = object(
  {
    eventId: text(),
    userId: text(),
    reason: oneOf(deadReasons),
    errorCode: integer(),
    errorInfo: text(),
    event: { type: 'object', additionalProperties: text(), description: 'Its fields, never a password.' },
    attempts: list(ref('Attempt')),
    state: oneOf(letterStates),
    deadSince: time('Its last death'),
  },
  {
    httpStatus: integer(),
    hasAccount: { type: 'boolean' },
    firstSeenAt: time('When the event was accepted'),
    notBefore: timeOrNull('Before which trying again is useless'),
    firstDeadAt: time('Its first death'),
  },
  { description: 'A dead letter, as `imsync dlq show` prints it.', additionalProperties: true },
);

const openCall: Schema = object(
  {
    callId: text(),
    command: text(),
    redrive: { type: 'boolean' },
    eventIds: list(text()),
    users: integer(),
    tries: integer('Failures for a passing reason so far.'),
    attempts: list(ref('Attempt')),
    sentAt: timeOrNull('Since when it may be on the wire'),
    nextAt: timeOrNull('When it is made again'),
  },
  {},
  { type: ['object', 'null'] },
);

/** The answer to GET /v1/users/{id}. */
const userFound: Schema = object({
  userId: text(),
  state: oneOf(
    ['in-call', 'waiting', 'dead-lettered', 'imported', 'missing', 'unknown'],
    'The first of these that is so: an event of theirs is in a call; one waits; the last one is a dead letter; the ' +
      'API says that the account exists, or that it does not; nothing was found (`unchecked` says which places were not searched).',
  ),
  hasAccount: { type: ['boolean', 'null'], description: 'Whether the account exists; null: not known.' },
  stopped: oneOf(['held', 'paused', null], 'Why no calls are made at present.'),
  call: openCall,
  parked: object(
    { count: integer(), eventIds: list(text()) },
    {},
    { description: 'Events that wait for that call to end.' },
  ),
  waiting: list(object({ eventId: text(), place: oneOf(['returned', 'stream']) })),
  letters: list(ref('Letter')),
  api: {
    description: 'What the API said when asked; null: it was not.',
    oneOf: [
      { type: 'null' },
      object({ kind: oneOf(['imported', 'missing']) }),
      object({ kind: { const: 'refused' }, errorCode: integer(), errorInfo: text() }),
    ],
  },
  unchecked: list(text(), 'A sentence for each place that was not searched, or not completely.'),
});

export const schemas: Readonly<Record<string, Schema>> = {
  User: user,
  Results: object({
    accepted: count,
    refused: count,
    results: list(ref('Result'), 'One for each user, in order.'),
  }),
  Result: { oneOf: [ref('Accepted'), ref('Refused')] },
  Accepted: accepted,
  Refused: refused,
  UserFound: userFound,
  Letter: letter,
  Attempt: attempt,
  Problem: object({
    error: oneOf(REQUEST_ERRORS, 'For programs.'),
    message: text('For people: what happened, and what to do.'),
  }),
};
