import { readTotals } from '../../src/ledger/totals.ts';
import {
  ACT_TOKEN,
  type Ask,
  askConsole,
  CONSOLE_ENV,
  type ConsoleAnswer,
  consoleContract,
  consoleUrl,
  signIn,
  VIEW_TOKEN,
} from '../support/console-api.ts';
import { eventually } from '../support/eventually.ts';
import type { ImsyncProcess } from '../support/process.ts';
import { drained, type Stage, setStage } from '../support/stage.ts';

/** The routes of the console, over a real worker, its Redis and the simulator. */

let stage: Stage;
let worker: ImsyncProcess;
let base: string;
const contract = consoleContract();
/** Routes of the document that a test has asked. */
const asked = new Set<string>();

beforeAll(async () => {
  stage = await setStage({
    scenario: {
      rules: [
        { match: { userIdPattern: '^forbidden' }, action: { accountCode: 70402 } },
        { match: { userIdPattern: '^flaky' }, action: { errorCode: 70500 } },
      ],
    },
  });
  worker = await stage.worker({ ...CONSOLE_ENV, IMSYNC_OUTCOMES: 'all' });
  base = await consoleUrl(worker);
  for (let i = 0; i < 20; i++) await stage.push({ userId: `alice${i}`, nick: `Alice ${i}` });
  for (let i = 0; i < 12; i++) await stage.push({ userId: `forbidden${i}`, nick: `Secret Nick ${i}` });
  await stage.push({ userId: 'has blank', nick: 'Blank' });
  await drained(stage);
}, 120_000);
afterAll(() => stage?.end(), 60_000);

/** Asks a route of the document and holds the answer against it. `path` fills in its parameters. */
async function ask(route: string, path = route, options: Ask = {}): Promise<ConsoleAnswer> {
  const method = options.method ?? (options.body === undefined ? 'GET' : 'POST');
  const answer = await askConsole(base, path, { token: ACT_TOKEN, ...options });
  asked.add(`${method} ${route}`);
  if (answer.json !== undefined) expect(contract.fit(route, method, answer)).toBe('');
  return answer;
}

describe('the fleet', () => {
  test('the status is what imsync status prints, with a sentence', async () => {
    const { json, status } = await ask('/api/status');
    expect(status).toBe(200);
    const { sentence, also, nowMs, ...own } = json;
    const verb = JSON.parse((await stage.verb(['status', '--json'])).stdout);
    const steady = ({ workers, redis, calls, deadLetters, ...rest }: typeof own) => ({
      ...rest,
      deadLetters: deadLetters.byReason,
      ids: workers.map(({ id }: { id: string }) => id),
    });
    expect(steady(own)).toEqual(steady(verb));
    expect(sentence.level).toBe('ok');
    expect(sentence.text).toMatch(/^(Running|Ready): /);
    expect(also.map(({ code }: { code: string }) => code)).toEqual(['dead-letters']);
    expect(Math.abs(nowMs - Date.now())).toBeLessThan(60_000);
  });

  test('the history has columns of one length, and counts what happened', async () => {
    const { json } = await eventually(
      'the points hold what was imported',
      async () => {
        const answer = await ask('/api/history', '/api/history?span=15m');
        const seen: number[] = answer.json.gauges.deadLetters.filter((n: number | null) => n !== null);
        const errors = Object.keys(answer.json.errorsPerSecond);
        return seen.at(-1) === 13 && errors.length > 0 ? answer : undefined;
      },
      40_000,
      250,
    );
    const columns = [
      ...Object.values(json.perSecond),
      ...Object.values(json.gauges),
      ...Object.values(json.deadByReason),
      ...Object.values(json.errorsPerSecond),
    ] as (number | null)[][];
    for (const column of columns) expect(column).toHaveLength(json.at.length);
    expect(json.at).toHaveLength(90);
    const sum = (column: (number | null)[]): number => column.reduce<number>((all, n) => all + (n ?? 0), 0);
    expect(sum(json.perSecond.calls)).toBeGreaterThan(0);
    expect(
      json.deadByReason.rejected.at(-1) ??
        json.deadByReason.rejected.findLast((n: number | null) => n !== null),
    ).toBe(12);
    expect(json.gauges.latencyP50Ms.some((ms: number | null) => ms !== null && ms > 0)).toBe(true);
    expect(json.gauges.quota.findLast((n: number | null) => n !== null)).toBe(100);
    for (const [span, steps] of [
      ['3h', 180],
      ['24h', 144],
    ] as const)
      expect((await ask('/api/history', `/api/history?span=${span}`)).json.at).toHaveLength(steps);
    expect((await ask('/api/history', '/api/history?span=1y')).status).toBe(400);
    expect((await ask('/api/history', '/api/history')).status).toBe(400);
  }, 120_000);

  test('workers, settings without secrets, and workers that disagree', async () => {
    const other = await stage.worker({ IMSYNC_BATCH_MAX_SIZE: '50' });
    const { id } = (await eventually('two workers', async () => {
      const { json } = await ask('/api/workers');
      return (
        json.workers.length === 2 &&
        json.workers.find(({ id: own }: { id: string }) => own.includes(`-${other.pid}-`))
      );
    })) as { id: string };
    const { json, text } = await eventually('its settings are told', async () => {
      const answer = await ask('/api/settings');
      return (
        answer.json.workers.every(({ known }: { known: boolean }) => known) &&
        answer.json.workers.length === 2 &&
        answer
      );
    });
    const setting = (path: string) => json.settings.find((one: { path: string }) => one.path === path);
    expect(setting('batch.maxSize')).toMatchObject({
      value: '100',
      origin: 'file default.json',
      disagreeing: [{ worker: id, value: '50' }],
    });
    expect(setting('credentials.secretKey')).toMatchObject({ value: '(set)', disagreeing: [] });
    expect(setting('console.tokens')).toMatchObject({
      value: '(set)',
      origin: 'environment IMSYNC_CONSOLE_TOKENS',
    });
    for (const secret of [ACT_TOKEN, VIEW_TOKEN, String(stage.env.IMSYNC_SDK_SECRET_KEY)])
      expect(text).not.toContain(secret.replace(/^\w+:/, ''));
    other.signal('SIGTERM');
    await other.ended;
  }, 40_000);

  test('an open call shows its tries, its last answer and when it is made again', async () => {
    await stage.push({ userId: 'flaky1', nick: 'F' });
    const call = await eventually('a call that failed', async () => {
      const { json } = await ask('/api/calls');
      return json.calls.find(({ lastAttempt }: { lastAttempt: object | null }) => lastAttempt !== null);
    });
    expect(call.lastAttempt).toMatchObject({ errorCode: 70500, httpStatus: 200 });
    expect(call.users).toBe(1);
    expect((await ask('/api/calls', '/api/calls?cursor=-1')).status).toBe(400);
    expect((await ask('/api/calls', '/api/calls?limit=201')).status).toBe(400);
  });

  test('a pause with its reason, its end, and both in Activity with the name of the token', async () => {
    const first = await ask('/api/pause', '/api/pause', { body: { reason: 'a deploy' } });
    expect(first.json).toMatchObject({ changed: true, pause: { reason: 'a deploy', by: 'ann (console)' } });
    expect((await ask('/api/pause', '/api/pause', { body: { reason: 'again' } })).json).toMatchObject({
      changed: false,
      pause: { reason: 'a deploy' },
    });
    expect((await ask('/api/status')).json.sentence).toMatchObject({
      code: 'paused',
      values: { reason: 'a deploy', by: 'ann (console)' },
    });
    expect((await ask('/api/pause', '/api/pause', { body: {} })).status).toBe(400);
    const band = await eventually(
      'the band begins',
      async () => {
        const { json } = await ask('/api/history', '/api/history?span=3h');
        return json.bands.find(({ kind }: { kind: string }) => kind === 'pause');
      },
      15_000,
      500,
    );
    expect(band).toMatchObject({ to: null, values: { reason: 'a deploy' } });
    expect((await ask('/api/resume', '/api/resume', { body: {} })).json).toEqual({
      changed: true,
      pause: null,
    });
    expect((await ask('/api/resume', '/api/resume', { body: {} })).json.changed).toBe(false);
    const { json } = await ask('/api/activity');
    // The fleet may have held its calls meanwhile.
    const byPeople = json.activity.filter(({ by }: Record<string, string>) => by !== '');
    expect(
      byPeople.slice(0, 2).map(({ what, by, detail }: Record<string, string>) => [what, by, detail]),
    ).toEqual([
      ['resume', 'ann (console)', ''],
      ['pause', 'ann (console)', 'a deploy'],
    ]);
    const page = await ask('/api/activity', '/api/activity?limit=1');
    expect(page.json.activity).toHaveLength(1);
    const next = await ask('/api/activity', `/api/activity?limit=1&before=${page.json.next}`);
    expect(next.json.activity[0]).toEqual(json.activity[1]);
    expect(next.json.next === null).toBe(json.activity.length === 2);
  }, 30_000);
});

describe('dead letters', () => {
  test('groups by reason and code say what to do', async () => {
    const { json } = await ask('/api/dead-letters/groups');
    expect(json.total).toBe(13);
    expect(
      json.groups.map(({ reason, errorCode, count }: Record<string, unknown>) => [reason, errorCode, count]),
    ).toEqual([
      ['rejected', 70402, 12],
      ['invalid', 0, 1],
    ]);
    expect(json.groups[0].advice).toMatch(/redrive/);
    expect(json.groups[0].meaning).not.toBe('');
    expect(json.groups[0].codePage).toMatch(/^https:/);
    expect(json.groups[1].codePage).toBeNull();
  });

  test('pages by cursor hold every letter once, newest first, by every filter', async () => {
    const listed = async (query: string): Promise<{ eventId: string; deadSince: number }[]> => {
      const letters = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const { json }: ConsoleAnswer = await ask(
          '/api/dead-letters',
          `/api/dead-letters?limit=5${query}${cursor && `&cursor=${cursor}`}`,
        );
        expect(json.letters.length).toBeLessThanOrEqual(5);
        letters.push(...json.letters);
        cursor = json.next;
      }
      expect(new Set(letters.map(({ eventId }) => eventId)).size).toBe(letters.length);
      return letters;
    };
    const all = await listed('');
    expect(all).toHaveLength(13);
    const deaths = all.map(({ deadSince }) => deadSince);
    expect(deaths).toEqual([...deaths].sort((a, b) => b - a));
    expect(await listed('&reason=rejected')).toHaveLength(12);
    expect(await listed('&code=70402')).toHaveLength(12);
    expect(await listed('&code=0')).toHaveLength(1);
    expect(await listed('&user=forbidden3')).toHaveLength(1);
    expect(await listed('&state=all')).toHaveLength(13);
    expect(await listed('&state=resolved')).toHaveLength(0);
    expect(await listed('&olderThanMs=3600000')).toHaveLength(0);
    expect(await listed('&newerThanMs=3600000')).toHaveLength(13);
    for (const bad of [
      'reason=no',
      'code=x',
      'state=x',
      'limit=0',
      'cursor=e30',
      'cursor=%00',
      'unknown=1',
      'user=',
    ]) {
      const { status, json } = await ask('/api/dead-letters', `/api/dead-letters?${bad}`);
      expect([bad, status, json.error]).toEqual([bad, 400, 'malformed']);
    }
  });

  test('one letter, or the word that there is none', async () => {
    const { json } = await ask('/api/dead-letters', '/api/dead-letters?user=forbidden3');
    const [letter] = json.letters;
    const one = await ask('/api/dead-letters/{eventId}', `/api/dead-letters/${letter.eventId}`);
    expect(one.json).toEqual(letter);
    expect(one.json).toMatchObject({
      userId: 'forbidden3',
      event: { nick: 'Secret Nick 3' },
      errorCode: 70402,
    });
    expect((await ask('/api/dead-letters/{eventId}', '/api/dead-letters/1-1')).status).toBe(404);
    expect((await ask('/api/dead-letters/{eventId}', '/api/dead-letters/x')).status).toBe(400);
  });

  test('an export is NDJSON, and stands in Activity', async () => {
    const answer = await ask('/api/dead-letters/export', '/api/dead-letters/export?reason=rejected');
    expect(answer.headers['content-disposition']).toMatch(/^attachment/);
    const letters = answer.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(letters).toHaveLength(12);
    const { json } = await ask('/api/activity', '/api/activity?limit=1');
    expect(json.activity[0]).toMatchObject({
      what: 'export',
      by: 'ann (console)',
      detail: '12 letters exported',
    });
  });

  test('a dry run says what a redrive would do, and changes nothing', async () => {
    const { json } = await ask('/api/dead-letters/redrive', '/api/dead-letters/redrive', {
      body: { all: true, dryRun: true },
    });
    expect(json).toEqual({
      dryRun: true,
      complete: true,
      letters: 12,
      users: 12,
      calls: expect.any(Number),
      left: { 'no-user': 1 },
    });
    expect((await readTotals(stage.client, stage.keys)).deadByReason).toEqual({ invalid: 1, rejected: 12 });
    for (const body of [
      {},
      { all: true, resume: 'r1' },
      { filter: {} },
      { eventIds: [] },
      { all: true, rate: 0 },
      { all: true, more: 1 },
    ])
      expect((await ask('/api/dead-letters/redrive', '/api/dead-letters/redrive', { body })).status).toBe(
        400,
      );
  });

  test('a redrive runs on, tells how far it is, and can be stopped and resumed', async () => {
    const started = await ask('/api/dead-letters/redrive', '/api/dead-letters/redrive', {
      body: { filter: { reason: 'rejected' }, rate: 1, stopAtFailures: 1 },
    });
    expect(started.status).toBe(202);
    const { id } = started.json;
    expect(started.json).toMatchObject({ state: 'running', by: 'ann (console)', rate: 1 });
    const stop = await ask('/api/redrives/{id}/stop', `/api/redrives/${id}/stop`, { body: {} });
    expect(stop.status).toBe(202);
    const ended = await eventually('it has stopped', async () => {
      const { json } = await ask('/api/redrives/{id}', `/api/redrives/${id}`);
      return json.state !== 'running' && json;
    });
    expect(ended).toMatchObject({ state: 'interrupted', resumable: true });
    expect(ended.letters).toBeLessThan(12);
    expect((await ask('/api/redrives/{id}/stop', `/api/redrives/${id}/stop`, { body: {} })).json.error).toBe(
      'not-running',
    );
    const resumed = await ask('/api/dead-letters/redrive', '/api/dead-letters/redrive', {
      body: { resume: id, stopAtFailures: 1, rate: 1000 },
    });
    expect(resumed.status).toBe(202);
    const done = await eventually('it is done', async () => {
      const { json } = await ask('/api/redrives');
      return json.redrives.find(
        (run: { id: string; state: string }) => run.id === id && run.state === 'done',
      );
    });
    expect(done.letters).toBe(12);
    await eventually(
      'all are dead again',
      async () => (await ask('/api/dead-letters/groups')).json.total === 13,
    );
    expect((await ask('/api/redrives/{id}', '/api/redrives/r999')).status).toBe(404);
    const { json } = await ask('/api/activity', '/api/activity?limit=1');
    expect(json.activity[0]).toMatchObject({
      what: 'redrive',
      by: 'ann (console)',
      detail: expect.stringMatching(new RegExp(`^${id} done: \\d+ letters? redriven$`)),
    });
  }, 120_000);

  test('letters are deleted by ID and by filter, and the act is noted', async () => {
    const { json } = await ask('/api/dead-letters', '/api/dead-letters?user=forbidden0');
    const [{ eventId }] = json.letters;
    const named = await ask('/api/dead-letters/delete', '/api/dead-letters/delete', {
      body: { eventIds: [eventId, '1-1'] },
    });
    expect(named.json).toEqual({ deleted: 1, gone: 1, redriving: 0, changed: 0, next: null });
    const meant = await ask('/api/dead-letters/delete', '/api/dead-letters/delete', {
      body: { filter: { user: 'forbidden1' } },
    });
    expect(meant.json.deleted).toBe(1);
    for (const body of [{}, { filter: { user: 'a' }, all: true }, { all: false }])
      expect((await ask('/api/dead-letters/delete', '/api/dead-letters/delete', { body })).status).toBe(400);
    const acts = (await ask('/api/activity', '/api/activity?limit=2')).json.activity;
    expect(acts.map(({ what, detail }: Record<string, string>) => [what, detail])).toEqual([
      ['delete', '1 letter deleted'],
      ['delete', '1 letter deleted'],
    ]);
  });
});

test('who signs in, and that somebody tried a wrong token, stands in the log; no token does', async () => {
  await signIn(base, ACT_TOKEN);
  expect(await worker.line('signed in to the console')).toMatchObject({ by: 'ann', address: '127.0.0.1' });
  await askConsole(base, '/api/session', { body: { token: 'wrong-token-0123456789' } });
  const line = await worker.line('somebody tried a token that the console does not know');
  expect(line).toMatchObject({ address: '127.0.0.1', before: 0 });
  expect(worker.lines.join()).not.toMatch(/(acting|viewing|wrong)-token/);
  // The next ones need not wait.
  await eventually('tokens count again', async () => {
    return (await askConsole(base, '/api/session', { token: ACT_TOKEN })).status === 200;
  });
});

describe('users', () => {
  test('where a user is, with how their events ended', async () => {
    const { json } = await ask('/api/users/{userId}', '/api/users/alice3');
    expect(json).toMatchObject({
      userId: 'alice3',
      state: 'imported',
      hasAccount: true,
      outcomes: [{ outcome: 'imported' }],
    });
    expect((await ask('/api/users/{userId}', '/api/users/nobody')).json.state).toBe('missing');
    const dead = await ask('/api/users/{userId}', '/api/users/forbidden5');
    expect(dead.json).toMatchObject({ state: 'dead-lettered', letters: [{ userId: 'forbidden5' }] });
    expect((await ask('/api/users/{userId}', `/api/users/${'x'.repeat(201)}`)).status).toBe(400);
  });

  test('a user is imported now, and forgotten', async () => {
    const { json, status } = await ask('/api/users/{userId}/import', '/api/users/zoe/import', {
      body: { nick: 'Zoe' },
    });
    expect(status).toBe(202);
    expect(json.eventId).toMatch(/^\d+-\d+$/);
    await eventually(
      'she has an account',
      async () => (await ask('/api/users/{userId}', '/api/users/zoe')).json.state === 'imported',
    );
    const bad = await ask('/api/users/{userId}/import', '/api/users/has%20blank/import', { body: {} });
    expect([bad.status, bad.json.error]).toEqual([422, 'invalid-user']);
    const dry = await ask('/api/users/{userId}/forget', '/api/users/forbidden5/forget', {
      body: { dryRun: true },
    });
    expect(dry.json).toMatchObject({ dryRun: true, complete: true, erased: { letters: 1 } });
    const done = await ask('/api/users/{userId}/forget', '/api/users/forbidden5/forget', { body: {} });
    expect(done.json).toMatchObject({ dryRun: false, complete: true, erased: { letters: 1 } });
    const acts = (await ask('/api/activity', '/api/activity?limit=2')).json.activity;
    expect(acts.map(({ what }: Record<string, string>) => what)).toEqual(['forget', 'import']);
    expect(JSON.stringify(acts)).not.toMatch(/zoe|forbidden5/);
  });
});

describe('those who may only look', () => {
  test('see no user and no profile, not within texts either', async () => {
    const view = { token: VIEW_TOKEN };
    const texts = [];
    for (const [route, path] of [
      ['/api/status', '/api/status'],
      ['/api/calls', '/api/calls'],
      ['/api/dead-letters', '/api/dead-letters?limit=200'],
      ['/api/dead-letters/groups', '/api/dead-letters/groups'],
      ['/api/dead-letters/export', '/api/dead-letters/export'],
      ['/api/activity', '/api/activity'],
    ] as const) {
      const answer = await ask(route, path, view);
      expect(answer.status).toBe(200);
      texts.push(answer.text);
    }
    expect(texts.join('\n')).toContain('***');
    expect(texts.join('\n')).not.toMatch(/forbidden\d|Secret Nick|has blank|Blank|flaky1/);
    const { json } = await ask('/api/users/{userId}', '/api/users/forbidden7', view);
    expect(json).toMatchObject({ userId: 'forbidden7', letters: [{ event: { nick: '***' } }] });
  });

  test('may do nothing: every act is refused on the server', async () => {
    const cookie = await signIn(base, VIEW_TOKEN);
    const acts: string[] = [];
    for (const [route, methods] of Object.entries(contract.paths)) {
      for (const method of Object.keys(methods).filter((one) => one === 'post' && route !== '/api/session')) {
        const path = route.replace('{eventId}', '1-1').replace('{userId}', 'alice1').replace('{id}', 'r1');
        for (const who of [{ token: VIEW_TOKEN }, { cookie, token: undefined }]) {
          const options = { ...who, method: 'POST', body: { reason: 'x', all: true } } as const;
          const answer = await askConsole(base, path, options);
          expect([route, answer.status, answer.json.error]).toEqual([route, 403, 'not-allowed']);
        }
        acts.push(`${method} ${route}`);
      }
    }
    expect(acts.length).toBe(7);
    expect((await ask('/api/status')).json.paused).toBe(false);
  });
});

test('every route of the document was asked', async () => {
  await ask('/api/session');
  const session = await askConsole(base, '/api/session', { body: { token: 'acting-token-0123456789' } });
  expect(contract.fit('/api/session', 'POST', session)).toBe('');
  const told = Object.entries(contract.paths).flatMap(([route, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${route}`),
  );
  const own = ['POST /api/session', 'DELETE /api/session'];
  expect(told.filter((one) => !asked.has(one) && !own.includes(one))).toEqual([]);
});
