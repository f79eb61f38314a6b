import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { createHoldState, type HoldState } from '../../src/hold/hold-state.ts';
import { eventually } from '../support/eventually.ts';
import { type IntakeClient, intakeClient } from '../support/intake.ts';
import { startLane } from '../support/lane.ts';
import { parseMetrics } from '../support/metrics.ts';
import type { ImsyncProcess } from '../support/process.ts';
import { linesOf, type Stage, setStage } from '../support/stage.ts';

const LISTENS = 'HTTP intake listens: POST /v1/users, GET /v1/users/{id}, /openapi.json';
const token = 'intake-token-of-the-tests-1';
const rotated = 'intake-token-of-the-tests-2';
const BOUNDS = 'A request may hold 1,000 users and 1 MiB. Send several requests.';
const ndjson = { 'content-type': 'application/x-ndjson' };

let folder: string;
let stage: Stage;
let worker: ImsyncProcess;
let url: string;
let client: IntakeClient;
let hold: HoldState;
/** A connection whose request head never ends: opened at the start, checked at the end. */
let slow: Socket;
let slowAnswer = '';

const entries = async (): Promise<Record<string, string>[]> =>
  (await stage.client.xrange(stage.keys.stream, '-', '+')).map(([eventId, fields]) => ({
    eventId,
    ...Object.fromEntries(
      Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i] ?? '', fields[2 * i + 1] ?? '']),
    ),
  }));
/** While paused nothing leaves the stream. */
const paused = async <T>(work: () => Promise<T>): Promise<T> => {
  await hold.pause('a test', Date.now());
  try {
    return await work();
  } finally {
    await hold.resume();
  }
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-tokens-'));
  await writeFile(join(folder, 'tokens'), `${token}\nanother-token-that-counts\n`);
  stage = await setStage({
    sensitiveWords: ['curse'],
    scenario: { rules: [{ match: { userIds: ['eve'] }, action: { accountCode: 70402 } }] },
  });
  hold = createHoldState(stage.client, stage.keys);
  worker = await stage.worker({
    IMSYNC_INTAKE_PORT: '0',
    IMSYNC_INTAKE_TOKENS_FILE: join(folder, 'tokens'),
    IMSYNC_OUTCOMES: 'all',
  });
  url = String((await worker.line(LISTENS)).url);
  client = await intakeClient(url, token);
  slow = connect(Number(new URL(url).port), '127.0.0.1');
  slow.setEncoding('utf8').on('data', (chunk: string) => {
    slowAnswer += chunk;
  });
  slow.on('error', () => undefined);
  slow.write('POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthor');
}, 120_000);
afterAll(async () => {
  slow?.destroy();
  await stage?.end();
  await rm(folder, { recursive: true, force: true });
}, 120_000);

test('it listens on loopback, on the port that the log names', () => {
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d+$/);
});

test('every request needs a valid token, and a new token is valid without a restart', async () => {
  const as = (value: string): Record<string, string> => ({ authorization: value });
  for (const value of [
    '',
    token,
    'Bearer',
    `Basic ${token}`,
    `Bearer ${token}x`,
    `Bearer ${token.slice(1)}`,
  ]) {
    const { status, headers, json } = await client.post({ userId: 'mallory' }, as(value));
    expect([value, status, json.error]).toEqual([value, 401, 'unauthorized']);
    expect(headers.get('www-authenticate')).toBe('Bearer');
  }
  expect((await client.get('/v1/users/ann', {})).status).toBe(401);
  expect((await client.post({ userId: 'ok1' }, as('Bearer another-token-that-counts'))).status).toBe(202);

  await writeFile(join(folder, 'tokens'), `${rotated}\n${token}\n`);
  await eventually('the new token counts', async () => {
    return (await client.post({ userId: 'ok2' }, as(`Bearer ${rotated}`))).status === 202;
  });
  expect((await client.post({ userId: 'x' }, as('Bearer another-token-that-counts'))).status).toBe(401);
  expect(stage.simulator.accounts.has('mallory')).toBe(false);
});

test('a user, a list and lines: every user has an eventId once Redis has it, and an account soon after', async () => {
  const one = await client.post({ userId: 'ann', nick: '安', faceUrl: 'https://example.com/a.png' });
  expect([one.status, one.json]).toEqual([
    202,
    {
      accepted: 1,
      refused: 0,
      results: [{ index: 0, userId: 'ann', eventId: expect.stringMatching(/^\d+-\d+$/) }],
    },
  ]);
  expect(one.headers.get('preference-applied')).toBeNull();
  expect((await client.post([{ userId: 'bob' }, { userId: 'cyd', type: 0 }])).json.accepted).toBe(2);
  expect((await client.post('{"userId":"dan"}\n\n{"userId":"eli"}\n', ndjson)).json.results).toMatchObject([
    { index: 0, userId: 'dan' },
    { index: 1, userId: 'eli' },
  ]);
  await eventually('all have accounts', () =>
    ['ann', 'bob', 'cyd', 'dan', 'eli'].every((id) => stage.simulator.accounts.has(id)),
  );
  expect(stage.simulator.accounts.get('ann')).toMatchObject({ nick: '安' });
});

test('a robot is refused with advice, since the current form has no Type; its neighbours are accepted', async () => {
  const { status, json } = await client.post([
    { userId: 'r1' },
    { userId: 'r2', type: 1 },
    { userId: '@RBT#3' },
    { userId: 'r4', type: '0' },
  ]);
  expect(status).toBe(207);
  const reasons = [expect.stringMatching(/no Type.*IMSYNC_API=legacy.*own call for robots/)];
  expect(json).toMatchObject({
    accepted: 2,
    refused: 2,
    results: [
      { userId: 'r1', eventId: expect.any(String) },
      { userId: 'r2', error: 'invalid', reasons },
      { userId: '@RBT#3', error: 'invalid', reasons },
      { userId: 'r4', eventId: expect.any(String) },
    ],
  });
  await eventually('the neighbours have accounts', () =>
    ['r1', 'r4'].every((id) => stage.simulator.accounts.has(id)),
  );
  expect(stage.simulator.accounts.has('r2')).toBe(false);
}, 120_000);

test('the event holds what was posted, and the trace of the request', async () => {
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  const own = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
  await paused(async () => {
    const users = [
      { userId: 'tia', occurredAt: '2025-04-03T17:08:43Z', replyTo: 'there', colour: 'green' },
      { userId: 'tim', traceparent: own, nick: null, faceUrl: '' },
    ];
    const { json } = await client.post(users, { traceparent });
    expect(await entries()).toEqual([
      {
        ...{ eventId: json.results[0].eventId, userId: 'tia', occurredAt: '1743700123000' },
        ...{ replyTo: 'there', traceparent, colour: 'green' },
      },
      { eventId: json.results[1].eventId, userId: 'tim', traceparent: own },
    ]);
  });
});

test('each invalid user is refused with its index and reasons, and the others are accepted', async () => {
  const deep = JSON.parse('['.repeat(1_000) + ']'.repeat(1_000));
  const users = [
    { userId: 'fay' },
    { userId: 12345 },
    { nick: 'nobody' },
    { userId: 'gus', face_url: 'x' },
    { userId: '3f2504e0-4f89-11d3-9a0c-0305e82c3301' },
    { userId: 'hal', nick: { deep: [[[['down']]]] } },
    { userId: 'hal', nick: deep },
    'text',
    { userId: 'ida' },
  ];
  const { status, json } = await client.post(users);
  expect([status, json.accepted, json.refused]).toEqual([207, 2, 7]);
  const reasons = json.results.map(({ reasons = [] }: { reasons?: string[] }) => reasons.join());
  expect(reasons).toEqual([
    '',
    expect.stringContaining('must be a string, not a number: write it in quotes'),
    'userId is missing',
    expect.stringContaining('must be written faceUrl'),
    expect.stringContaining('UUID with dashes'),
    'nick must be a string, not an object',
    'nick must be a string, not a list',
    expect.stringContaining('must be a JSON object'),
    '',
  ]);
  expect(json.results.map(({ index }: { index: number }) => index)).toEqual(users.map((_, i) => i));
  expect(json.results[4]).toMatchObject({ userId: users[4] && '3f2504e0-4f89-11d3-9a0c-0305e82c3301' });

  const lines = await client.post('{"userId":"jan"}\nnot json\n[1]\n', ndjson);
  expect([lines.status, lines.json.accepted]).toEqual([207, 1]);
  expect(lines.json.results[1]).toEqual({ index: 1, error: 'invalid', reasons: ['this is not valid JSON'] });
  expect((await client.post([{ userId: 12 }, { userId: '' }])).status).toBe(400);
});

test('a body that cannot be used is refused as a whole, and none of its users is accepted', async () => {
  const before = (await stage.verb(['status', '--json'])).stdout;
  const refused: [number, string, unknown, Record<string, string>?][] = [
    [400, 'malformed', '[{"userId":"kim"},{"userId":}]'],
    [400, 'malformed', '[{"userId":"kim"}'],
    [400, 'malformed', ''],
    [400, 'malformed', '[]'],
    [400, 'malformed', '[['.repeat(500_000)],
    [400, 'malformed', '{"userId":"kim"} {"userId":"kim"}'],
    [413, 'too-many-users', Array.from({ length: 1_001 }, (_, i) => ({ userId: `k${i}` }))],
    [413, 'too-many-users', '{"userId":"kim"}\n'.repeat(1_001), ndjson],
    [413, 'too-large', `{"userId":"kim","nick":"${'x'.repeat(1024 * 1024)}"}`],
    [415, 'unsupported-media-type', 'userId=kim', { 'content-type': 'application/x-www-form-urlencoded' }],
    [415, 'unsupported-media-type', '{"userId":"kim"}', { 'content-type': 'application/json; charset=gbk' }],
    [415, 'unsupported-media-type', gzipSync('{"userId":"kim"}'), { 'content-encoding': 'gzip' }],
  ];
  for (const [status, error, body, headers] of refused) {
    const answer = await client.post(body, headers);
    expect([status, error, answer.status, answer.json.error]).toEqual([status, error, status, error]);
    if (status === 413) expect(answer.json.message).toContain(BOUNDS);
  }
  // Of unknown length, so that only its bytes tell.
  const chunked = await fetch(`${url}/v1/users`, {
    method: 'POST',
    body: new Blob(['x'.repeat(2 * 1024 * 1024)]).stream(),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    duplex: 'half',
  } as RequestInit);
  expect([chunked.status, ((await chunked.json()) as { error: string }).error]).toEqual([413, 'too-large']);
  const accepted = (stdout: string) => JSON.parse(stdout).totals.accepted;
  expect(accepted((await stage.verb(['status', '--json'])).stdout)).toBe(accepted(before));
}, 120_000);

test('a thousand users in one request are accepted, in order, and imported', async () => {
  const users = Array.from({ length: 1_000 }, (_, i) => ({ userId: `m${i}` }));
  const { status, json } = await client.post(users);
  expect([status, json.accepted]).toEqual([202, 1_000]);
  expect(json.results.map(({ userId }: { userId: string }) => userId)).toEqual(
    users.map(({ userId }) => userId),
  );
  await eventually('all are imported', () => stage.simulator.accounts.has('m999'), 60_000);
}, 120_000);

test('a request that prefers to wait is told the outcomes', async () => {
  const users = [
    { userId: 'nat', nick: 'older' },
    { userId: 'nat', nick: 'newer' },
    { userId: 'eve' },
    { userId: 'ole', nick: 'a curse' },
    { userId: 'not ok' },
  ];
  const { status, json, headers } = await client.post(users, { prefer: 'respond-async, wait=20' });
  expect([status, headers.get('preference-applied')]).toEqual([207, 'wait=20']);
  expect(json.results).toMatchObject([
    { userId: 'nat', outcome: 'superseded', errorCode: 0, hasAccount: true },
    { userId: 'nat', outcome: 'imported', errorCode: 0, hasAccount: true },
    { userId: 'eve', outcome: 'dead-lettered', errorCode: 70402, reason: 'rejected', hasAccount: false },
    { userId: 'ole', outcome: 'dead-lettered', errorCode: 40005, reason: 'profile', hasAccount: true },
    { userId: 'not ok', error: 'invalid' },
  ]);
  await paused(async () => {
    const waited = await client.post([{ userId: 'pam' }, { userId: 'pia', replyTo: 'x' }], {
      prefer: 'wait=0',
    });
    expect(waited.json.results).toMatchObject([
      { userId: 'pam', outcome: 'pending', errorCode: 0, hasAccount: false },
      { userId: 'pia', error: 'invalid', reasons: [expect.stringContaining('replyTo')] },
    ]);
  });
}, 120_000);

test('many requests wait at once over one subscription', async () => {
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) => client.post({ userId: `q${i}` }, { prefer: 'wait=25' })),
  );
  expect(new Set(answers.map(({ json }) => json.results[0].outcome))).toEqual(new Set(['imported']));
  const clients = String(await stage.client.client('LIST'));
  expect(clients.split('\n').filter((line) => line.includes('name=imsync-outcomes'))).toHaveLength(1);
}, 120_000);

test('the stream of outcomes has every event once', async () => {
  const { json } = await client.post([{ userId: 'ray' }, { userId: 'eve' }, { userId: 'rex' }]);
  const ids = json.results.map(({ eventId }: { eventId: string }) => eventId);
  const told = async () =>
    (await stage.client.xrange(stage.keys.outcomes, '-', '+')).flatMap(([, fields]) => {
      const [, eventId = '', , userId, , outcome] = fields;
      return ids.includes(eventId) ? [`${userId} ${outcome}`] : [];
    });
  await eventually('all three are told', async () => (await told()).length >= 3);
  expect((await told()).sort()).toEqual(['eve dead-lettered', 'ray imported', 'rex imported']);
});

test('a lookup says imported, missing, dead-lettered, waiting or unknown', async () => {
  const state = async (userId: string) => (await client.get(`/v1/users/${encodeURIComponent(userId)}`)).json;
  await client.post({ userId: 'sam' }, { prefer: 'wait=20' });
  expect(await state('sam')).toMatchObject({ state: 'imported', hasAccount: true, unchecked: [] });
  expect(await state('nobody')).toMatchObject({ state: 'missing', hasAccount: false });
  const eve = await state('eve');
  expect(eve).toMatchObject({
    state: 'dead-lettered',
    letters: [{ reason: 'rejected', errorCode: 70402 }, {}],
  });
  await paused(async () => {
    await client.post({ userId: 'a#b/c?d' });
    expect(await state('a#b/c?d')).toMatchObject({ state: 'waiting', stopped: 'paused', api: null });
    const unknown = await state('nobody');
    expect(unknown).toMatchObject({
      state: 'unknown',
      hasAccount: null,
      unchecked: [expect.stringContaining('paused')],
    });
  });
}, 120_000);

test('unknown paths and unreadable ones are answered in the same form', async () => {
  const others: [string, string, number][] = [
    ['GET', '/', 404],
    ['GET', '/v1/users', 404],
    ['PUT', '/v1/users', 404],
    ['DELETE', '/v1/users/ann', 404],
    ['GET', '/metrics', 404],
  ];
  for (const [method, path, status] of others) {
    const response = await fetch(url + path, { method, headers: { authorization: `Bearer ${token}` } });
    expect([method, path, response.status]).toEqual([method, path, status]);
    expect(await response.json()).toEqual({ error: expect.any(String), message: expect.any(String) });
  }
  for (const id of ['%zz', 'x'.repeat(1_001)]) {
    expect((await client.get(`/v1/users/${id}`)).json.error).toBe('malformed');
  }
});

test('users are accepted while calls are held', async () => {
  stage.simulator.setFaults({ rules: [{ action: { errorCode: 70403, errorInfo: 'no permission' } }] });
  await client.post({ userId: 'tom' });
  await eventually('the hold', async () => (await stage.client.hexists(stage.keys.hold, 'held')) === 1);
  expect((await client.post({ userId: 'una' })).status).toBe(202);
  stage.simulator.setFaults({ rules: [{ match: { userIds: ['eve'] }, action: { accountCode: 70402 } }] });
  await eventually('una has an account', () => stage.simulator.accounts.has('una'), 60_000);
}, 90_000);

test('when Redis fills up while lists are sent, every user without an acknowledgement is told so', async () => {
  await paused(async () => {
    const used = Number(/used_memory:(\d+)/.exec(String(await stage.client.info('memory')))?.[1]);
    await stage.client.config('SET', 'maxmemory', String(used + 4_000_000));
    // Sent at once, so that all are let in before Redis is full; together they are too large for it.
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, list) =>
        client.post(
          Array.from({ length: 1_000 }, (_, i) => ({ userId: `v${list}-${i}`, nick: 'n'.repeat(700) })),
        ),
      ),
    );
    expect(answers.map(({ status }) => status)).toContain(207);
    expect(answers.map(({ json }) => json.accepted + json.refused)).toEqual(Array(8).fill(1_000));
    const results = answers.flatMap(({ json }) => json.results);
    const told: string[] = results.flatMap(({ eventId = [] }) => eventId);
    expect(told.sort()).toEqual((await entries()).map(({ eventId }) => eventId).sort());
    expect(results).toContainEqual(
      expect.objectContaining({ error: 'not-accepted', reasons: [expect.stringMatching(/Send this/)] }),
    );

    // Above the watermark nothing is tried.
    const full = await eventually('the mark', async () => {
      const answer = await client.post({ userId: 'wim' });
      return answer.json.error === 'memory' ? answer : undefined;
    });
    expect([full.status, full.headers.get('retry-after')]).toEqual([503, '30']);
    expect(full.json.message).toMatch(/^Redis is 9\d % full|^Redis is 1\d\d % full/);
    await stage.client.config('SET', 'maxmemory', '0');
    await eventually(
      'users are accepted again',
      async () => (await client.post({ userId: 'wim' })).status === 202,
    );
    await stage.client.del(stage.keys.stream);
    await stage.client.hset(stage.keys.books, 'taken', 0);
  });
}, 90_000);

test('while Redis is away it answers 503 at once, and goes on when Redis is back', async () => {
  await stage.redis.shutdown();
  const away = await client.post([{ userId: 'xia' }]);
  expect([away.status, away.headers.get('retry-after')]).toEqual([503, '2']);
  expect((await client.get('/v1/users/xia')).status).toBe(503);
  await stage.redis.restart();
  await eventually('it accepts again', async () => (await client.post({ userId: 'xia' })).status === 202);
  await eventually('xia has an account', () => stage.simulator.accounts.has('xia'), 60_000);
}, 90_000);

test('the status shows the intake, the metrics count it, and the log names no user', async () => {
  const { stdout } = await stage.verb(['status']);
  expect(stdout).toContain(`HTTP intake  ${url} (of `);
  const { workers } = JSON.parse((await stage.verb(['status', '--json'])).stdout);
  expect(workers).toEqual([expect.objectContaining({ intake: url })]);
  const { url: ops } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  const metrics = parseMetrics(await (await fetch(`${ops}/metrics`)).text());
  expect(metrics.value('imsync_intake_requests_total', { status: '202' })).toBeGreaterThan(60);
  expect(metrics.value('imsync_intake_users_total', { result: 'accepted' })).toBeGreaterThan(1_000);
  expect(metrics.value('imsync_intake_users_total', { result: 'not-accepted' })).toBeGreaterThan(0);

  const log = worker.lines.join('\n');
  for (const secret of [token, rotated, 'another-token-that-counts']) expect(log).not.toContain(secret);
  expect(log).not.toMatch(/"(ann|bob|mallory|not ok|v0-1)"/);
  expect(linesOf(worker, 'HTTP intake answers 503').length).toBeLessThanOrEqual(4);
  expect(linesOf(worker, 'HTTP intake refused: no token')).toHaveLength(1);
});

test('in hosted mode a user has a password, which no answer and no log line shows', async () => {
  const lane = await startLane({
    server: stage.redis,
    sdkAppId: 1_400_000_099,
    form: 'hosted',
    env: { IMSYNC_INTAKE_PORT: '0', IMSYNC_INTAKE_TOKENS: token },
  });
  try {
    const line = lane.log.find((one) => one.includes(LISTENS)) ?? '{}';
    const hosted = await intakeClient(JSON.parse(line).url, token);
    const user = { userId: 'ann@example.com', identifierType: 2, password: 'pass-Word-1' };
    const { status, json } = await hosted.post([
      user,
      { ...user, password: 'too-Short'.slice(0, 5) },
      { userId: 'bob1' },
    ]);
    expect([status, json.accepted]).toEqual([207, 1]);
    expect(JSON.stringify(json) + lane.log.join()).not.toMatch(/pass-Word-1|too-S/);
    await lane.drained();
    const found = await hosted.get('/v1/users/ann%40example.com');
    expect(found.json.unchecked).toEqual([expect.stringContaining('IMSYNC_API=hosted has no call for it')]);
  } finally {
    await lane.stop();
  }
}, 120_000);

test('the OpenAPI document is complete: every status and every field in it occurred', () => {
  const { paths, components } = client.document;
  for (const [path, methods] of Object.entries<Record<string, { responses: object }>>(paths)) {
    for (const [method, { responses }] of Object.entries(methods)) {
      if (path === '/openapi.json') continue;
      // A 500 is a bug, which no test can ask for.
      const described = Object.keys(responses).filter((status) => status !== '500');
      const met = [...(client.seen.get(`${method} ${path}`) ?? [])].map(String);
      expect([method, path, met.sort()]).toEqual([method, path, described.sort()]);
    }
  }
  const { Accepted, Refused } = components.schemas;
  expect([...client.fields].sort()).toEqual(
    [...new Set([...Object.keys(Accepted.properties), ...Object.keys(Refused.properties)])].sort(),
  );
});

test('a request that does not end in time is cut off', async () => {
  await eventually('the slow one is answered', () => slowAnswer.includes('408 Request Timeout'));
  await eventually('and cut off', () => slow.destroyed || slow.readableEnded);
}, 120_000);

test('on SIGTERM requests in hand are answered, incomplete ones are cut off, new ones are refused', async () => {
  await hold.pause('a test', Date.now());
  const waiting = client.post({ userId: 'zoe' }, { prefer: 'wait=30' });
  await eventually('zoe waits', async () => (await entries()).some(({ userId }) => userId === 'zoe'));
  const half = connect(Number(new URL(url).port), '127.0.0.1');
  half.on('error', () => undefined);
  half.write(
    `POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n` +
      'Content-Length: 100\r\n\r\n{"userId":',
  );
  await eventually('the half is there', () => half.bytesWritten > 100);
  worker.signal('SIGTERM');
  expect((await waiting).json.results).toMatchObject([{ userId: 'zoe', outcome: 'pending' }]);
  await expect(fetch(`${url}/openapi.json`)).rejects.toThrow();
  expect(await worker.ended).toBe(0);
  expect(linesOf(worker, 'worker stopped')).toHaveLength(1);
  expect(linesOf(worker, 'not everything could be closed')).toEqual([]);
}, 120_000);

test.each<[string, Record<string, string>, RegExp]>([
  ['no token', { IMSYNC_INTAKE_PORT: '0' }, /IMSYNC_INTAKE_PORT is given, but no token/],
  [
    'a short token',
    { IMSYNC_INTAKE_PORT: '0', IMSYNC_INTAKE_TOKENS: 'geheim' },
    /IMSYNC_INTAKE_TOKENS holds a token of fewer than 16 characters/,
  ],
  [
    'a short token in the file',
    { IMSYNC_INTAKE_PORT: '0', IMSYNC_INTAKE_TOKENS_FILE: 'FOLDER/short' },
    /IMSYNC_INTAKE_TOKENS_FILE holds a token of fewer than 16 characters/,
  ],
  [
    'a port in use',
    { IMSYNC_INTAKE_PORT: 'REDIS', IMSYNC_INTAKE_TOKENS: token },
    /The HTTP intake cannot listen on 127\.0\.0\.1 port \d+: the port is in use.*IMSYNC_INTAKE_PORT/,
  ],
])('a worker does not start with %s, and says what to do', async (_, env, words) => {
  await writeFile(join(folder, 'short'), 'geheim\n');
  const given = Object.fromEntries(
    Object.entries(env).map(([name, value]) => [
      name,
      value.replace('FOLDER', folder).replace('REDIS', String(stage.redis.port)),
    ]),
  );
  const { code, stderr, stdout } = await stage.verb(['worker'], given);
  expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
  expect(stderr + stdout).not.toContain('geheim');
});
