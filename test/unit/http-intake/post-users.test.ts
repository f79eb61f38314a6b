import { EventEmitter } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Registry } from 'prom-client';
import { InvalidUserError } from '../../../src/event/invalid-user.ts';
import { readUser, usersOfJson, usersOfLines } from '../../../src/http-intake/body.ts';
import {
  createPostUsers,
  type Sender,
  sendUsers,
  statusOf,
  tallyOf,
  type UserResult,
  waitSecondsOf,
  withOutcome,
} from '../../../src/http-intake/post-users.ts';
import { createIntakeLog, createIntakeMetrics } from '../../../src/http-intake/request-report.ts';
import { createTokenCheck } from '../../../src/http-intake/tokens.ts';
import { createLogger } from '../../../src/logging/log.ts';
import type { ImportOutcome } from '../../../src/producer/outcome-inbox.ts';
import { type Importing, NotAcceptedError } from '../../../src/producer/producer.ts';

test.each<[string | string[] | undefined, number | undefined]>([
  ['wait=2', 2],
  ['WAIT = 2', 2],
  ['respond-async, wait="10"; x=y', 10],
  [['respond-async', 'wait=3'], 3],
  ['wait=0', 0],
  ['wait=31', 30],
  ['wait=999999999', 30],
  ['wait=2, wait=5', 2],
  ['wait', undefined],
  ['wait=-1', undefined],
  ['wait=1.5', undefined],
  ['wait=soon', undefined],
  ['return=minimal', undefined],
  [undefined, undefined],
])('Prefer: %s asks to wait %s', (header, seconds) => {
  expect(waitSecondsOf(header)).toBe(seconds);
});

describe('tokens', () => {
  const old = 'an-old-token-0123456789';
  const young = 'a-young-token-0123456789';
  const keeper = (read: () => readonly string[]) => {
    const said: (string | null)[] = [];
    let nowMs = 0;
    const admits = createTokenCheck(
      read,
      (problem) => said.push(problem),
      () => nowMs,
    );
    const pass = (ms: number): void => {
      nowMs += ms;
    };
    return { admits: (token: string) => admits(`Bearer ${token}`), raw: admits, said, pass };
  };

  test('each of them is accepted, and nothing else', () => {
    const { admits, raw } = keeper(() => [old, young]);
    expect([old, young].map(admits)).toEqual([true, true]);
    for (const wrong of [old.slice(1), `${old}x`, old.toUpperCase(), `${old},${young}`, '']) {
      expect(admits(wrong)).toBe(false);
    }
    expect(raw(`bearer   ${old}`)).toBe(true);
    for (const header of [undefined, '', old, `Basic ${old}`, `Bearer${old}`, `Bearer ${old} ${old}`]) {
      expect(raw(header)).toBe(false);
    }
  });

  test('without tokens every request is refused', () => {
    const { admits } = keeper(() => []);
    expect([old, ''].map(admits)).toEqual([false, false]);
  });

  test('a new one is valid within a second, and the old one no longer', () => {
    let tokens = [old];
    const { admits, pass } = keeper(() => tokens);
    expect(admits(old)).toBe(true);
    tokens = [young];
    pass(1_000);
    expect([old, young].map(admits)).toEqual([false, true]);
  });

  test('while they cannot be read, those read last stay valid for a minute', () => {
    let read = (): readonly string[] => [old];
    const { admits, pass, said } = keeper(() => read());
    expect(admits(old)).toBe(true);
    read = () => {
      throw new Error('The file of IMSYNC_INTAKE_TOKENS_FILE is empty.');
    };
    pass(60_000);
    expect(admits(old)).toBe(true);
    pass(1_000);
    expect(admits(old)).toBe(false);
    read = () => [old];
    pass(1_000);
    expect(admits(old)).toBe(true);
    expect(said).toEqual(['The file of IMSYNC_INTAKE_TOKENS_FILE is empty.', null]);
  });
});

const taken = (index: number): UserResult => ({ index, userId: `u${index}`, eventId: `${index}-0` });
const failed = (index: number, error: 'invalid' | 'not-accepted'): UserResult => ({
  index,
  error,
  reasons: ['x'],
});

test.each<[number, UserResult[]]>([
  [202, [taken(0), taken(1)]],
  [207, [taken(0), failed(1, 'invalid')]],
  [207, [taken(0), failed(1, 'not-accepted')]],
  [400, [failed(0, 'invalid'), failed(1, 'invalid')]],
  [503, [failed(0, 'not-accepted')]],
  [503, [failed(0, 'invalid'), failed(1, 'not-accepted')]],
])('the status is %i', (status, results) => {
  const tally = tallyOf(results.map((result) => ({ result })));
  expect(statusOf(tally)).toBe(status);
  expect(tally.accepted).toBe(results.filter((one) => 'eventId' in one).length);
  expect(tally.accepted + tally.invalid + tally.lost).toBe(results.length);
});

describe('sending', () => {
  const read = (body: string, usersOf = usersOfJson) =>
    usersOf(Buffer.from(body)).map((user) => readUser(user));
  const resultsOf = (sent: Awaited<ReturnType<typeof sendUsers>>) => sent.map(({ result }) => result);
  const users = (count: number) =>
    read(JSON.stringify(Array.from({ length: count }, (_, i) => ({ userId: `u${i}` }))));
  const outcomeOf = (eventId: string): ImportOutcome => ({
    eventId,
    userId: 'u',
    outcome: 'imported',
    errorCode: 0,
    hasAccount: true,
  });
  const away = new NotAcceptedError('Redis did not take the event: gone');

  test('a user that Redis did not acknowledge is never accepted', async () => {
    let left = 250;
    const sender: Sender = {
      addMany: async (list) =>
        list.map((user) =>
          left-- > 0 ? { ok: true, eventId: `${user.userId.slice(1)}-0` } : { ok: false, error: away },
        ),
      importMany: () => Promise.reject(new Error('no request waits')),
    };
    const troubles: string[] = [];
    const results = resultsOf(await sendUsers(sender, users(1_000), undefined, (why) => troubles.push(why)));
    expect(results).toHaveLength(1_000);
    expect(results.slice(0, 250)).toEqual(Array.from({ length: 250 }, (_, i) => taken(i)));
    expect(results.slice(250).every((one) => 'error' in one && one.error === 'not-accepted')).toBe(true);
    expect(results.map(({ index }) => index)).toEqual(results.map((_, i) => i));
    expect(troubles).toEqual([away.message]);
  });

  test('each user has its own answer: accepted, invalid, unreadable', async () => {
    const lines = read('{"userId":"a"}\nnope\n{"userId":"b"}\n', usersOfLines);
    const sender: Sender = {
      addMany: async () => [
        { ok: false, error: new InvalidUserError(['userId is silly']) },
        { ok: true, eventId: '7-0' },
      ],
      importMany: async () => [],
    };
    const results = resultsOf(await sendUsers(sender, lines, undefined, () => undefined));
    expect(results).toEqual([
      { index: 0, userId: 'a', error: 'invalid', reasons: ['userId is silly'] },
      { index: 1, error: 'invalid', reasons: ['this is not valid JSON'] },
      { index: 2, userId: 'b', eventId: '7-0' },
    ]);
  });

  test('outcomes are reported as the producer tells them', async () => {
    const importing: Importing[] = [
      { ok: true, eventId: '1-0', outcome: Promise.resolve(outcomeOf('1-0')) },
      {
        ok: true,
        eventId: '2-0',
        outcome: Promise.resolve({ ...outcomeOf('2-0'), outcome: 'pending', hasAccount: false }),
      },
    ];
    const sender: Sender = { addMany: async () => [], importMany: async () => importing };
    const sent = await sendUsers(sender, users(2), 5_000, () => undefined);
    expect(await Promise.all(sent.map(withOutcome))).toMatchObject([
      { index: 0, eventId: '1-0', outcome: 'imported', hasAccount: true },
      { index: 1, eventId: '2-0', outcome: 'pending', hasAccount: false },
    ]);
  });

  test('users are accepted even when the subscription for outcomes fails', async () => {
    const sender: Sender = {
      addMany: async (slice) => slice.map((_, i) => ({ ok: true, eventId: `${i}-0` })),
      importMany: async (slice) => slice.map(() => ({ ok: false, error: away })),
    };
    const sent = await sendUsers(sender, users(2), 1_000, () => undefined);
    expect(await Promise.all(sent.map(withOutcome))).toMatchObject([
      { eventId: '0-0', outcome: 'pending' },
      { eventId: '1-0', outcome: 'pending' },
    ]);
  });

  test('a user with replyTo cannot be waited for', async () => {
    const withChannel = read('{"userId":"a","replyTo":"there"}');
    const sender: Sender = { addMany: async () => [], importMany: async () => [] };
    const results = resultsOf(await sendUsers(sender, withChannel, 1_000, () => undefined));
    expect(results).toEqual([
      {
        index: 0,
        userId: 'a',
        error: 'invalid',
        reasons: [expect.stringContaining('replyTo and the preference')],
      },
    ]);
  });
});

test('the bytes of bodies held at once are bounded, and can be held again once answered', async () => {
  const heartbeat = { answeringSinceMs: 0 };
  const { onRequest } = createPostUsers({
    sender: { addMany: async () => [], importMany: async () => [] },
    memory: { look: async () => ({ usedRatio: null, level: 'ample' }) },
    metrics: createIntakeMetrics(new Registry()),
    log: createIntakeLog(createLogger('silent', {}, { write: () => undefined })),
    heartbeat,
  });
  const post = async (length?: string): Promise<() => void> => {
    const raw = new EventEmitter();
    const headers = { 'content-type': 'application/json', 'content-length': length };
    await onRequest({ headers } as unknown as FastifyRequest, { raw } as unknown as FastifyReply);
    return () => void raw.emit('close');
  };
  // A body whose length is not known counts as the longest.
  const ends = [await post(String(1024 * 1024))];
  while (ends.length < 64) ends.push(await post());
  await expect(post('100')).rejects.toMatchObject({ status: 503, error: 'busy' });
  ends[0]?.();
  await post('100');
  await expect(post()).rejects.toMatchObject({ error: 'busy' });
});

test('the log has one line for each change, and one a minute for each kind of refusal', () => {
  const lines: string[] = [];
  let nowMs = 0;
  const log = createIntakeLog(
    createLogger('info', {}, { write: (line: string) => lines.push(line) }),
    () => nowMs,
  );
  for (let i = 0; i < 50; i++) log.refused('unauthorized', 401, '10.0.0.1');
  log.refused('too-large', 413, '10.0.0.1');
  nowMs = 60_000;
  log.refused('unauthorized', 401, '10.0.0.2');
  // Changes to and fro are one trouble.
  for (let i = 0; i < 30; i++) log.available(i % 2 === 0 ? 'Redis cannot be reached' : null);
  nowMs += 5_000;
  for (let i = 0; i < 3; i++) log.available(null);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { kind: 'unauthorized', status: 401 },
    { kind: 'too-large', status: 413 },
    { kind: 'unauthorized', from: '10.0.0.2', unsaid: 49 },
    { level: 'error', reason: 'Redis cannot be reached' },
    { level: 'info', msg: 'HTTP intake accepts users again' },
  ]);
});

test('every status has one of a few labels', async () => {
  const registry = new Registry();
  const metrics = createIntakeMetrics(registry);
  for (let status = 200; status < 600; status++) metrics.answered(status);
  const text = await registry.metrics();
  const labels = [...text.matchAll(/imsync_intake_requests_total\{status="([^"]+)"\} (\d+)/g)];
  expect(labels).toHaveLength(13);
  expect(labels.find(([, status]) => status === 'other')?.[2]).toBe(String(400 - 12));
});
