import { get, type IncomingMessage } from 'node:http';
import { createLinks } from '../../src/console/access/links.ts';
import { createSessions } from '../../src/console/access/sessions.ts';
import { type Holder, holderOf } from '../../src/console/access/tokens.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { ACT_TOKEN, askConsole, signIn, VIEW_TOKEN } from '../support/console-api.ts';
import { useConsoles } from '../support/console-server.ts';
import { eventually } from '../support/eventually.ts';
import { makeInvalidLetters } from '../support/letters.ts';

/** What somebody may try who has a token for looking, another page of the domain, or a place on the same machine. */

const { open } = useConsoles();

const secretOf = (token: string): string => token.replace(/^\w+:/, '');
const PROXY = {
  IMSYNC_CONSOLE_TRUSTED_PROXIES: '127.0.0.1',
  IMSYNC_CONSOLE_ALLOWED_HOSTS: 'console.example.com',
};
const TLS = { host: 'console.example.com', 'x-forwarded-proto': 'https' };

describe('the cookie', () => {
  const setBy = async (url: string, path: string, headers: Record<string, string>): Promise<string> => {
    const body = { token: secretOf(ACT_TOKEN) };
    const answer = await askConsole(url, path, { body, headers, origin: 'https://console.example.com' });
    return String(answer.headers['set-cookie']);
  };

  test('behind TLS has a name that no other site of the domain can set', async () => {
    const { url } = await open(PROXY);
    const set = await setBy(url, '/api/session', TLS);
    expect(set).toMatch(/^__Host-imsync_console=[\w.-]+; Path=\/; .*; Secure$/);
    const [cookie = ''] = set.split(';');
    const look = (sent: string) => askConsole(url, '/api/session', { headers: { ...TLS, cookie: sent } });
    expect((await look(cookie)).json.name).toBe('ann');
    expect((await look(cookie.replace('__Host-', ''))).status).toBe(401);
    expect((await look(`imsync_console=x; __Host-imsync_console=y; ${cookie}`)).json.name).toBe('ann');
    const below = await open({ ...PROXY, IMSYNC_CONSOLE_BASE_PATH: '/ops' });
    expect(await setBy(below.url, '/ops/api/session', TLS)).toMatch(
      /^__Secure-imsync_console=[\w.-]+; Path=\/ops\/; .*; Secure$/,
    );
  });

  test('is never sent in the clear, even if no proxy is listed', async () => {
    const { url } = await open({ IMSYNC_CONSOLE_ALLOWED_HOSTS: 'console.example.com' });
    expect(await setBy(url, '/api/session', { host: TLS.host })).toMatch(/^__Host-.*; Secure$/);
  });

  test('of one app counts in no other', async () => {
    const { redis: client } = await open();
    const holder = holderOf(ACT_TOKEN, 'act');
    const [one, other] = [1, 2].map((app) =>
      createSessions({ redis: client, keys: keysOf(app) }, { byId: () => holder }, 60_000),
    );
    const cookie = one?.open(holder).cookie ?? '';
    expect((await one?.find(cookie, true))?.holder).toBe(holder);
    expect(await other?.find(cookie, true)).toBeUndefined();
  });
});

test('who signs in and out all day fills no Redis, and what was ended stays so', async () => {
  const { redis: client } = await open();
  const keys = keysOf(3);
  const holders = [ACT_TOKEN, VIEW_TOKEN].map((token) => holderOf(token, 'view'));
  const [ann, vic] = holders as [Holder, Holder];
  let nowMs = Date.now();
  const byId = (id: string) => holders.find((holder) => holder.id === id);
  const sessions = createSessions({ redis: client, keys }, { byId }, 60_000, () => nowMs++);
  const listed = Array.from({ length: 1_000 }, (_, i) => [`listed${i}`, String(nowMs + 60_000)]);
  await client.hset(keys.endedSessions, ...listed.flat());
  const [earlier, ended, others] = [sessions.open(ann), sessions.open(ann), sessions.open(vic)];
  for (let i = 0; i < 5; i++) await sessions.end(i === 0 ? ended.session : sessions.open(ann).session);
  expect(await client.hlen(keys.endedSessions)).toBe(1_001);
  expect(await client.pttl(keys.endedSessions)).toBeGreaterThan(0);
  const elsewhere = createSessions({ redis: client, keys }, { byId }, 60_000, () => nowMs++);
  const later = elsewhere.open(ann);
  for (const [{ cookie }, isOpen] of [
    [ended, false],
    [earlier, false],
    [others, true],
    [later, true],
  ] as const)
    expect((await elsewhere.find(cookie, true)) !== undefined).toBe(isOpen);
});

describe('another page', () => {
  test('signs nobody in by a link with a token of its own', async () => {
    const links = createLinks('ann@here');
    const { url } = await open({}, links);
    const follow = (link: string) => askConsole(url, '/api/session', { body: { link } });
    expect((await follow(secretOf(ACT_TOKEN))).json.error).toBe('wrong-token');
    const code = links.make();
    expect((await follow(code)).json.name).toBe('ann@here');
    expect((await follow(code)).json.error).toBe('wrong-token');
    const both = { link: code, token: secretOf(ACT_TOKEN) };
    expect((await askConsole(url, '/api/session', { body: both })).status).toBe(400);
  });

  test('has nothing read for it, and gains nothing by a header without a token', async () => {
    const { url } = await open();
    const cookie = await signIn(url, ACT_TOKEN);
    const read = async (site: string) =>
      (await askConsole(url, '/api/activity', { cookie, headers: { 'sec-fetch-site': site } })).status;
    expect([await read('same-origin'), await read('none')]).toEqual([200, 200]);
    expect([await read('cross-site'), await read('same-site')]).toEqual([403, 403]);
    const act = (headers: Record<string, string>) =>
      askConsole(url, '/api/resume', { cookie, body: {}, origin: false, headers });
    expect((await act({ authorization: 'Bearer a b' })).json.error).toBe('wrong-origin');
    const bearer = { authorization: `Bearer ${secretOf(ACT_TOKEN)}` };
    expect((await act({ ...bearer, 'sec-fetch-site': 'cross-site' })).json.error).toBe('wrong-origin');
    expect((await act(bearer)).status).toBe(200);
  });

  test('finds no answer in a cache, by whatever spelling of the path', async () => {
    const { url } = await open();
    for (const path of ['/api/session', '/%61pi/session'])
      expect([path, (await askConsole(url, path, { token: ACT_TOKEN })).headers['cache-control']]).toEqual([
        path,
        'no-store',
      ]);
  });
});

test('wrong tokens are slowed by network, whatever a proxy writes of the client', async () => {
  const { url } = await open(PROXY);
  const tryFrom = async (address: string): Promise<number> => {
    const headers = { 'x-forwarded-for': address };
    return (await askConsole(url, '/api/session', { token: 'wrong-token-0123456789', headers })).status;
  };
  for (const [first, second] of [
    ['203.0.113.7:40001', '203.0.113.7:40002'],
    ['2001:db8::1', '[2001:db8:0:0:1:2:3:4]:443'],
    ['nobody', 'unknown'],
  ] as const)
    expect([first, await tryFrom(first), await tryFrom(second)]).toEqual([first, 401, 429]);
  expect([await tryFrom('2001:db8:0:1::1'), await tryFrom('1.2.3.4, 203.0.113.7')]).toEqual([401, 429]);
});

test('a name of the single sign-on is read as UTF-8, and hides no sign', async () => {
  const { url } = await open({
    ...PROXY,
    IMSYNC_CONSOLE_SSO_HEADER: 'X-Forwarded-User',
    IMSYNC_CONSOLE_SSO_OPERATORS: '小明',
  });
  const signOn = (name: string) => {
    const headers = { 'x-forwarded-user': Buffer.from(name).toString('latin1') };
    return askConsole(url, '/api/session', { headers });
  };
  expect((await signOn('小明')).json).toMatchObject({ name: '小明', rights: 'act' });
  expect((await signOn('a\u202eb')).status).toBe(401);
});

describe('exports', () => {
  test('stand in Activity even if they are broken off, and push nothing out of it', async () => {
    const { url, redis: client, keys } = await open();
    await makeInvalidLetters(client, keys, 'user', 1_000);
    const token = ACT_TOKEN;
    const path = '/api/dead-letters/export';
    const authorization = `Bearer ${secretOf(token)}`;
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get(url + path, { headers: { authorization } }, resolve).on('error', reject);
    });
    await new Promise((resolve) => answer.once('data', resolve));
    answer.destroy();
    await eventually('it is noted', async () => {
      const { json } = await askConsole(url, '/api/activity?limit=1', { token });
      return /^[1-9]\d* letters exported, broken off$/.test(json.activity[0]?.detail);
    });
    expect((await askConsole(url, path, { token, method: 'HEAD' })).status).toBe(404);
    const empty = () => askConsole(url, `${path}?reason=unknown`, { token });
    const statuses = [];
    for (let i = 0; i < 10; i++) statuses.push((await empty()).status);
    expect(statuses).toEqual([...Array(9).fill(200), 429]);
    expect((await askConsole(url, path, { token: VIEW_TOKEN })).status).toBe(200);
  }, 30_000);
});

test('a cursor that somebody made up leads to no other user', async () => {
  const { url } = await open();
  const made = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url');
  const ask = async (query: string, ...parts: unknown[]) =>
    (await askConsole(url, `/api/dead-letters?${query}&cursor=${made(...parts)}`, { token: VIEW_TOKEN }))
      .status;
  expect(await ask('user=alice', 'dead', 'alice 1-1', '', 1)).toBe(200);
  expect(await ask('user=alice', 'dead', '~', '', 1)).toBe(400);
  expect(await ask('user=alice', 'dead', 'zoe 1-1', '', 1)).toBe(400);
  expect(await ask('user=alice', 'resolved', '', '', 1)).toBe(400);
  expect(await ask('', 'dead', '1-1', ' 5 ', 1)).toBe(400);
});

test('nothing stands for false but false, and a reason is one line of what prints', async () => {
  const { url } = await open();
  const act = (path: string, body: object) => askConsole(url, path, { token: ACT_TOKEN, body });
  expect((await act('/api/users/zoe/forget', { dryRun: null })).status).toBe(400);
  expect((await act('/api/dead-letters/redrive', { all: true, dryRun: 'true' })).status).toBe(400);
  await act('/api/pause', { reason: 'a' });
  expect((await act('/api/resume', { reason: 'b\u009b31m\u202ec' })).status).toBe(200);
  const { json } = await askConsole(url, '/api/activity?limit=1', { token: ACT_TOKEN });
  expect(json.activity[0]).toMatchObject({ what: 'resume', detail: 'b 31m c' });
});
