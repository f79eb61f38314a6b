import { deadReasons, letterStates } from '../ledger/letters/dead-letters.ts';
import { MAX_USERS } from './body.ts';
import { MAX_WAIT_SECONDS } from './post-users.ts';
import { REQUEST_ERRORS } from './refused-request.ts';

/** A JSON schema. JSON leaves out a description that is undefined. */
type Schema = Readonly<Record<string, unknown>>;

const typed = (type: string | readonly string[], description?: string): Schema => ({ type, description });
const text = (description?: string): Schema => typed('string', description);
const textOrNull = (description: string): Schema => typed(['string', 'null'], description);
const integer = (description?: string): Schema => typed('integer', description);
const flag = (description?: string): Schema => typed('boolean', description);
const time = (what: string): Schema => integer(`${what}, ms since 1970.`);
const timeOrNull = (what: string): Schema =>
  typed(['integer', 'null'], `${what}, ms since 1970; null: not known, or none.`);
const oneOf = (values: readonly unknown[], description?: string): Schema => ({ enum: values, description });
const list = (items: Schema, description?: string): Schema => ({ type: 'array', items, description });
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** An object with these fields and no others; all are required but those in `optional`. */
function object(
  required: Readonly<Record<string, Schema>>,
  optional: Schema = {},
  more: Schema = {},
): Schema {
  return {
    type: 'object',
    required: Object.keys(required),
    properties: { ...required, ...optional },
    additionalProperties: false,
    ...more,
  };
}

const count: Schema = { type: 'integer', minimum: 0 };
const index = { ...count, description: 'Position in the body, from 0; blank lines do not count.' };
const userId = text('As it came; absent when there was none.');

const openCall: Schema = object(
  {
    ...{ callId: text(), command: text(), redrive: flag(), eventIds: list(text()), users: integer() },
    tries: integer('Failures for a passing reason so far.'),
    suspicion: {
      ...object({ since: time('Since when'), failures: count, errorCode: integer(), httpStatus: integer() }),
      ...{ type: ['object', 'null'], additionalProperties: true },
      description: 'Set while the user is called alone, since their calls fail while those of others pass.',
    },
    attempts: list(ref('Attempt')),
    sentAt: timeOrNull('Since when it may be on the wire'),
    nextAt: timeOrNull('When it is made again'),
  },
  {},
  { type: ['object', 'null'] },
);

const schemas: Readonly<Record<string, Schema>> = {
  /** The fields of an event (event/event.ts). */
  User: object(
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
      occurredAt: typed(
        ['string', 'integer', 'null'],
        'RFC 3339, or milliseconds since 1970. Reported; orders nothing.',
      ),
      replyTo: {
        ...textOrNull('A Redis channel on which the outcome is published. Not together with Prefer: wait.'),
        maxLength: 200,
      },
      traceparent: textOrNull("W3C trace context; default: the request's."),
      allowOddId: oneOf([1, '1', '', null], '1: the user ID is meant as it stands, such as None.'),
      identifierType: oneOf([1, 2, 3, '1', '2', '3', '', null], 'Hosted mode: 1 phone, 2 e-mail, 3 string.'),
      password: { ...textOrNull('Hosted mode: 8 to 16 characters.'), writeOnly: true },
    },
    { additionalProperties: text('Further fields travel along with the event.') },
  ),
  Results: object({
    accepted: count,
    refused: count,
    results: list(ref('Result'), 'One for each user, in order.'),
  }),
  Result: { oneOf: [ref('Accepted'), ref('Refused')] },
  Accepted: object(
    { index, eventId: { type: 'string', pattern: '^[0-9]+-[0-9]+$' } },
    {
      userId,
      outcome: oneOf(
        ['imported', 'superseded', 'dead-lettered', 'pending'],
        'With Prefer: wait. `superseded`: a newer event of the user was imported in its place. ' +
          '`pending`: not known in time, and worked off all the same.',
      ),
      errorCode: integer("The API's code; 0 if there is none."),
      reason: oneOf(deadReasons, 'Why it was dead-lettered.'),
      hasAccount: flag('The user certainly has an account now: a message can reach them.'),
    },
    {
      description:
        'Redis has it: it will be imported, superseded by a newer event of the user, or dead-lettered.',
      dependentRequired: { outcome: ['errorCode', 'hasAccount'] },
    },
  ),
  Refused: object(
    {
      index,
      error: oneOf(
        ['invalid', 'not-accepted'],
        '`not-accepted`: Redis did not acknowledge it. Send it again; a repeat does no harm.',
      ),
      reasons: { ...list(text()), minItems: 1 },
    },
    { userId },
  ),
  UserFound: object({
    userId: text(),
    state: oneOf(
      ['in-call', 'waiting', 'dead-lettered', 'imported', 'missing', 'unknown'],
      'The first of these that is so: an event of theirs is in a call; one waits; the last one is a dead letter; the ' +
        'API says that the account exists, or that it does not; nothing was found (`unchecked` says which places were not searched).',
    ),
    hasAccount: typed(['boolean', 'null'], 'Whether the account exists; null: not known.'),
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
  }),
  Letter: object(
    {
      ...{
        eventId: text(),
        userId: text(),
        reason: oneOf(deadReasons),
        errorCode: integer(),
        errorInfo: text(),
      },
      event: { type: 'object', additionalProperties: text(), description: 'Its fields, never a password.' },
      attempts: list(ref('Attempt')),
      state: oneOf(letterStates),
      deadSince: time('Its last death'),
    },
    {
      httpStatus: integer(),
      hasAccount: flag(),
      firstSeenAt: time('When the event was accepted'),
      notBefore: timeOrNull('Before which trying again is useless'),
      firstDeadAt: time('Its first death'),
    },
    { description: 'A dead letter, as `imsync dlq show` prints it.', additionalProperties: true },
  ),
  Attempt: object(
    {
      at: time('When it was made'),
      command: text(),
      errorCode: integer('0 when the API gave none.'),
      httpStatus: integer('0 when no answer came.'),
    },
    {},
    { additionalProperties: true },
  ),
  Problem: object({
    error: oneOf(REQUEST_ERRORS, 'For programs.'),
    message: text('For people: what happened, and what to do.'),
  }),
};

const answer = (description: string, schema: Schema, headers?: object) => ({
  ...{ description, headers, content: { 'application/json': { schema } } },
});
const header = (schema: Schema, description?: string) => ({ description, schema });
const digits = { type: 'string', pattern: '^[0-9]+$' };
const retryAfter = { 'Retry-After': header(digits, 'Seconds to wait before the next try.') };
const waited = {
  'Preference-Applied': header(
    { type: 'string', pattern: '^wait=[0-9]+$' },
    'Present when the request waited: `wait=` and the seconds that counted.',
  ),
};
const problem = (description: string, headers: object = {}) => answer(description, ref('Problem'), headers);
const results = (description: string) => answer(description, ref('Results'), waited);
const resultsOrProblem = { oneOf: [ref('Results'), ref('Problem')] };
const unauthorized = problem('No token, or not a valid one.', {
  'WWW-Authenticate': header({ const: 'Bearer' }),
});
const internal = problem('A bug; please report it.');

const postUsers = {
  operationId: 'postUsers',
  summary: 'Have accounts imported',
  description:
    `One user, a JSON list, or NDJSON: up to ${MAX_USERS} users and 1 MiB a request. The status says what was ` +
    'accepted; each user has its outcome if the request waited.',
  parameters: [
    {
      name: 'Prefer',
      in: 'header',
      description: `wait=2: answers when the outcomes are known, after two seconds at the latest; 0 to ${MAX_WAIT_SECONDS}.`,
      schema: { type: 'string', examples: ['wait=2'] },
    },
    { name: 'traceparent', in: 'header', description: 'W3C trace context of the events.', schema: text() },
  ],
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: { oneOf: [ref('User'), { ...list(ref('User')), minItems: 1, maxItems: MAX_USERS }] },
        examples: { one: { value: { userId: 'alice', nick: 'Alice' } } },
      },
      'application/x-ndjson': { schema: text('A user a line; blank lines do not count.') },
    },
  },
  responses: {
    '202': results('Redis has all users.'),
    '207': results('Redis has some of the users; `results` says which, and why not the others.'),
    '400': answer('No user is valid, or the body cannot be read.', resultsOrProblem, waited),
    '401': unauthorized,
    '413': problem(`More than ${MAX_USERS} users, or more than 1 MiB. Send several requests.`),
    '415': problem('Neither JSON nor NDJSON, not UTF-8, or compressed.'),
    '500': internal,
    '503': answer(
      'Nothing was accepted; try again. With `results` when Redis went away while users were sent to it.',
      resultsOrProblem,
      { ...retryAfter, ...waited },
    ),
  },
};

const getUser = {
  operationId: 'getUser',
  summary: 'Where a user is',
  parameters: [
    { name: 'id', in: 'path', required: true, schema: { type: 'string', minLength: 1, maxLength: 1000 } },
  ],
  responses: {
    '200': answer('What is known, even if that is nothing.', ref('UserFound')),
    '400': problem('The path cannot be decoded, or the ID is longer than 1,000 characters.'),
    '401': unauthorized,
    '500': internal,
    '503': problem('Redis is away or too full, too much at once, or the worker is stopping.', retryAfter),
  },
};

const getDescription = {
  operationId: 'getDescription',
  summary: 'This document',
  security: [],
  responses: { '200': answer('OpenAPI 3.1.', { type: 'object' }) },
};

/** The OpenAPI 3.1 document of the HTTP intake. Tests hold every answer against it. */
export function openapiDocument(version: string): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'im-account-sync: HTTP intake',
      version,
      description: 'Takes user-created events over HTTP, for backends that cannot reach Redis.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths: {
      '/v1/users': { post: postUsers },
      '/v1/users/{id}': { get: getUser },
      '/openapi.json': { get: getDescription },
    },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } }, schemas },
  };
}
