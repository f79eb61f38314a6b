import { deadReasons, letterStates } from '../ledger/letters/dead-letters.ts';

const timeMs = (description: string) => ({ type: 'integer', description: `${description}, ms since 1970.` });
const timeOrNull = (description: string) => ({
  type: ['integer', 'null'],
  description: `${description}, ms since 1970; null: not known, or none.`,
});
const eventIds = { type: 'array', items: { type: 'string' } };

const attempt = {
  type: 'object',
  required: ['at', 'command', 'errorCode', 'httpStatus'],
  properties: {
    at: timeMs('When it was made'),
    command: { type: 'string' },
    errorCode: { type: 'integer', description: '0 when the API gave none.' },
    httpStatus: { type: 'integer', description: '0 when no answer came.' },
  },
};

const letter = {
  type: 'object',
  description: 'A dead letter, as `imsync dlq show` prints it.',
  required: [
    'eventId',
    'userId',
    'reason',
    'errorCode',
    'errorInfo',
    'event',
    'attempts',
    'state',
    'deadSince',
  ],
  properties: {
    eventId: { type: 'string' },
    userId: { type: 'string' },
    reason: { enum: deadReasons },
    errorCode: { type: 'integer' },
    errorInfo: { type: 'string' },
    httpStatus: { type: 'integer' },
    event: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Its fields, never a password.',
    },
    hasAccount: { type: 'boolean' },
    attempts: { type: 'array', items: { $ref: '#/components/schemas/Attempt' } },
    firstSeenAt: timeMs('When the event was accepted'),
    notBefore: timeOrNull('Before which trying again is useless'),
    state: { enum: letterStates },
    deadSince: timeMs('Its last death'),
    firstDeadAt: timeMs('Its first death'),
  },
};

const userFound = {
  type: 'object',
  required: [
    ...[
      'userId',
      'state',
      'hasAccount',
      'stopped',
      'call',
      'parked',
      'waiting',
      'letters',
      'api',
      'unchecked',
    ],
  ],
  properties: {
    userId: { type: 'string' },
    state: {
      enum: ['in-call', 'waiting', 'dead-lettered', 'imported', 'missing', 'unknown'],
      description:
        'The first of these that is so: an event of theirs is in a call; one waits; the last one is a dead letter; the ' +
        'API says that the account exists, or that it does not; nothing was found (`unchecked` says where nobody looked).',
    },
    hasAccount: { type: ['boolean', 'null'], description: 'Whether the account exists; null: not known.' },
    stopped: { enum: ['held', 'paused', null], description: 'Why no calls are made at present.' },
    call: {
      type: ['object', 'null'],
      required: [
        'callId',
        'command',
        'redrive',
        'eventIds',
        'users',
        'tries',
        'attempts',
        'sentAt',
        'nextAt',
      ],
      properties: {
        callId: { type: 'string' },
        command: { type: 'string' },
        redrive: { type: 'boolean' },
        eventIds,
        users: { type: 'integer' },
        tries: { type: 'integer', description: 'Failures for a passing reason so far.' },
        attempts: { type: 'array', items: { $ref: '#/components/schemas/Attempt' } },
        sentAt: timeOrNull('Since when it may be on the wire'),
        nextAt: timeOrNull('When it is made again'),
      },
      additionalProperties: false,
    },
    parked: {
      type: 'object',
      required: ['count', 'eventIds'],
      properties: { count: { type: 'integer' }, eventIds },
      additionalProperties: false,
      description: 'Events that wait for that call to end.',
    },
    waiting: {
      type: 'array',
      items: {
        type: 'object',
        required: ['eventId', 'place'],
        properties: { eventId: { type: 'string' }, place: { enum: ['returned', 'stream'] } },
        additionalProperties: false,
      },
    },
    letters: { type: 'array', items: { $ref: '#/components/schemas/Letter' } },
    api: {
      description: 'What the API said when asked; null: it was not.',
      oneOf: [
        { type: 'null' },
        {
          type: 'object',
          required: ['kind'],
          properties: { kind: { enum: ['imported', 'missing'] } },
          additionalProperties: false,
        },
        {
          type: 'object',
          required: ['kind', 'errorCode', 'errorInfo'],
          properties: {
            kind: { const: 'refused' },
            errorCode: { type: 'integer' },
            errorInfo: { type: 'string' },
          },
          additionalProperties: false,
        },
      ],
    },
    unchecked: {
      type: 'array',
      items: { type: 'string' },
      description: 'A sentence for each place where nobody looked, or not everywhere.',
    },
  },
  additionalProperties: false,
};

/** The answer to GET /v1/users/{id} and its parts. */
export const userFoundSchemas = { UserFound: userFound, Letter: letter, Attempt: attempt };
