import { MAX_BODY_BYTES, MAX_USERS } from './body.ts';
import { userFoundSchemas } from './openapi-user.ts';
import { MAX_WAIT_SECONDS } from './post-users.ts';
import { REQUEST_ERRORS } from './refused-request.ts';

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: object) => ({ 'application/json': { schema } });
const problem = (description: string, headers: object = {}) => ({
  description,
  headers,
  content: json(ref('Problem')),
});
const retryAfter = {
  'Retry-After': {
    description: 'Seconds to wait before the next try.',
    schema: { type: 'string', pattern: '^[0-9]+$' },
  },
};
const preferenceApplied = {
  'Preference-Applied': {
    description: 'Present when the request waited: `wait=` and the seconds that counted.',
    schema: { type: 'string', pattern: '^wait=[0-9]+$' },
  },
};
const results = (description: string) => ({
  description,
  headers: preferenceApplied,
  content: json(ref('Results')),
});

/** What one user of a body may hold: the fields of an event (event/field-names.ts). */
const user = {
  type: 'object',
  required: ['userId'],
  properties: {
    userId: {
      type: 'string',
      minLength: 1,
      maxLength: 32,
      pattern: '^[!-~]+$',
      description:
        'Printable ASCII without spaces. A JSON number is refused: large ones lose digits on their way.',
    },
    nick: {
      type: ['string', 'null'],
      description: 'Up to 500 bytes of UTF-8; a longer one costs the profile, not the account.',
    },
    faceUrl: { type: ['string', 'null'], description: 'Up to 500 bytes.' },
    type: {
      enum: [0, 1, '0', '1', '', null],
      description:
        '0 ordinary (default). 1 robot: refused unless IMSYNC_API=legacy, the only form with a Type.',
    },
    occurredAt: {
      type: ['string', 'integer', 'null'],
      description: 'RFC 3339, or milliseconds since 1970. Reported; orders nothing.',
    },
    replyTo: {
      type: ['string', 'null'],
      maxLength: 200,
      description: 'A Redis channel on which the outcome is published. Not together with Prefer: wait.',
    },
    traceparent: { type: ['string', 'null'], description: "W3C trace context; default: the request's." },
    identifierType: {
      enum: [1, 2, 3, '1', '2', '3', '', null],
      description: 'Hosted mode: 1 phone, 2 e-mail, 3 string.',
    },
    password: { type: ['string', 'null'], writeOnly: true, description: 'Hosted mode: 8 to 16 characters.' },
  },
  additionalProperties: { type: 'string', description: 'Further fields travel along with the event.' },
};

const outcomeFields = {
  outcome: {
    enum: ['imported', 'superseded', 'dead-lettered', 'pending'],
    description:
      'With Prefer: wait. `superseded`: a newer event of the user was imported in its place. `pending`: not known in time, and worked off all the same.',
  },
  errorCode: { type: 'integer', description: "The API's code; 0 if there is none." },
  reason: {
    enum: ['invalid', 'rejected', 'profile', 'expired', 'unknown'],
    description: 'Why it was dead-lettered.',
  },
  hasAccount: {
    type: 'boolean',
    description: 'The user certainly has an account now: a message can reach them.',
  },
};

const place = {
  index: {
    type: 'integer',
    minimum: 0,
    description: 'Position in the body, from 0; blank lines do not count.',
  },
  userId: { type: 'string', description: 'As it came; absent when there was none.' },
};

const schemas = {
  User: user,
  Results: {
    type: 'object',
    required: ['accepted', 'refused', 'results'],
    properties: {
      accepted: { type: 'integer', minimum: 0 },
      refused: { type: 'integer', minimum: 0 },
      results: { type: 'array', description: 'One for each user, in order.', items: ref('Result') },
    },
    additionalProperties: false,
  },
  Result: { oneOf: [ref('Accepted'), ref('Refused')] },
  Accepted: {
    type: 'object',
    description:
      'Redis has it: it will be imported, superseded by a newer event of the user, or dead-lettered.',
    required: ['index', 'eventId'],
    properties: { ...place, eventId: { type: 'string', pattern: '^[0-9]+-[0-9]+$' }, ...outcomeFields },
    dependentRequired: { outcome: ['errorCode', 'hasAccount'] },
    additionalProperties: false,
  },
  Refused: {
    type: 'object',
    required: ['index', 'error', 'reasons'],
    properties: {
      ...place,
      error: {
        enum: ['invalid', 'not-accepted'],
        description: '`not-accepted`: Redis did not acknowledge it. Send it again; a repeat does no harm.',
      },
      reasons: { type: 'array', minItems: 1, items: { type: 'string' } },
    },
    additionalProperties: false,
  },
  ...userFoundSchemas,
  Problem: {
    type: 'object',
    required: ['error', 'message'],
    properties: {
      error: { enum: REQUEST_ERRORS, description: 'For programs.' },
      message: { type: 'string', description: 'For people: what happened, and what to do.' },
    },
    additionalProperties: false,
  },
};

const unauthorized = problem('No token, or none that counts.', {
  'WWW-Authenticate': { schema: { const: 'Bearer' } },
});
const internal = problem('A bug; please report it.');
const unavailable = problem(
  'Redis is away or too full, too much at once, or the worker is stopping.',
  retryAfter,
);

const postUsers = {
  operationId: 'postUsers',
  summary: 'Have accounts imported',
  description:
    `One user, a JSON list, or NDJSON: up to ${MAX_USERS} users and ${MAX_BODY_BYTES} bytes. The status says what was ` +
    'accepted; how it ended stands beside each user if the request waited.',
  parameters: [
    {
      name: 'Prefer',
      in: 'header',
      description: `wait=2: answers when the outcomes are known, after two seconds at the latest; 0 to ${MAX_WAIT_SECONDS}.`,
      schema: { type: 'string', examples: ['wait=2'] },
    },
    {
      name: 'traceparent',
      in: 'header',
      description: 'W3C trace context of the events.',
      schema: { type: 'string' },
    },
  ],
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: {
          oneOf: [ref('User'), { type: 'array', minItems: 1, maxItems: MAX_USERS, items: ref('User') }],
        },
        examples: { one: { value: { userId: 'alice', nick: 'Alice' } } },
      },
      'application/x-ndjson': {
        schema: { type: 'string', description: 'A user a line; blank lines do not count.' },
      },
    },
  },
  responses: {
    '202': results('Redis has all users.'),
    '207': results('Redis has some of the users; `results` says which, and why not the others.'),
    '400': {
      description: 'No user holds up, or the body cannot be read.',
      headers: preferenceApplied,
      content: json({ oneOf: [ref('Results'), ref('Problem')] }),
    },
    '401': unauthorized,
    '413': problem(`More than ${MAX_BODY_BYTES} bytes, or more than ${MAX_USERS} users.`),
    '415': problem('Neither JSON nor NDJSON, not UTF-8, or compressed.'),
    '500': internal,
    '503': {
      description:
        'Nothing was accepted; try again. With `results` when Redis went away while users were sent to it.',
      headers: { ...retryAfter, ...preferenceApplied },
      content: json({ oneOf: [ref('Results'), ref('Problem')] }),
    },
  },
};

const getUser = {
  operationId: 'getUser',
  summary: 'Where a user is',
  parameters: [
    { name: 'id', in: 'path', required: true, schema: { type: 'string', minLength: 1, maxLength: 1000 } },
  ],
  responses: {
    '200': { description: 'What is known, also when that is nothing.', content: json(ref('UserFound')) },
    '400': problem('The path cannot be decoded, or the ID is longer than 1,000 characters.'),
    '401': unauthorized,
    '500': internal,
    '503': unavailable,
  },
};

/** The OpenAPI 3.1 document of the HTTP intake; every answer of its routes fits it. */
export function openapiDocument(version: string): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'im-account-sync: HTTP intake',
      version,
      description: 'Takes user-created events over HTTP, for those who cannot reach Redis.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths: {
      '/v1/users': { post: postUsers },
      '/v1/users/{id}': { get: getUser },
      '/openapi.json': {
        get: {
          operationId: 'getDescription',
          summary: 'This document',
          security: [],
          responses: { '200': { description: 'OpenAPI 3.1.', content: json({ type: 'object' }) } },
        },
      },
    },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } }, schemas },
  };
}
