import { MAX_USERS } from './body.ts';
import { ref, schemas, usersSchema } from './openapi-schemas.ts';
import { MAX_WAIT_SECONDS } from './post-users.ts';

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

const unauthorized = problem('No token, or not a valid one.', {
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
    `One user, a JSON list, or NDJSON: up to ${MAX_USERS} users and 1 MiB a request. The status says what was ` +
    'accepted; each user has its outcome if the request waited.',
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
        schema: usersSchema,
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
      description: 'No user is valid, or the body cannot be read.',
      headers: preferenceApplied,
      content: json({ oneOf: [ref('Results'), ref('Problem')] }),
    },
    '401': unauthorized,
    '413': problem(`More than ${MAX_USERS} users, or more than 1 MiB. Send several requests.`),
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
    '200': { description: 'What is known, even if that is nothing.', content: json(ref('UserFound')) },
    '400': problem('The path cannot be decoded, or the ID is longer than 1,000 characters.'),
    '401': unauthorized,
    '500': internal,
    '503': unavailable,
  },
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
