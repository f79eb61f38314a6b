import { createLinks } from '../../src/console/access/links.ts';
import { ACT_TOKEN, askConsole, signIn, VIEW_TOKEN } from '../support/console-api.ts';
import { startConsole, useConsoles } from '../support/console-server.ts';
import { eventually } from '../support/eventually.ts';

/** Who may ask the console what, from where, and for how long. */

const { server, open } = useConsoles();

const ACT = { body: { reason: 'x' } } as const;
const secretOf = (token: string): string => token.replace(/^\w+:/, '');

describe('a session', () => {
  test('is opened by a token, tells who it is, and is ended on every process', async () => {
    const [one, other] = [await open(), await open()];
    const answer = await askConsole(one.url, '/api/session', { body: { token: secretOf(ACT_TOKEN) } });
    expect(answer.json).toMatchObject({
      name: 'ann',
      rights: 'act',
      showUsers: true,
      kind: 'session',
      version: '1.2.3',
    });
    expect(answer.json.expiresAt).toBeGreaterThan(Date.now());
    const set = String(answer.headers['set-cookie']);
    expect(set).toMatch(/^imsync_console=[\w.-]+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/);
    expect(set).not.toContain(secretOf(ACT_TOKEN));
    const [cookie = ''] = set.split(';');
    expect((await askConsole(other.url, '/api/session', { cookie })).json).toMatchObject({
      name: 'ann',
      kind: 'session',
    });
    expect((await askConsole(other.url, '/api/pause', { cookie, ...ACT })).status).toBe(200);
    const out = await askConsole(one.url, '/api/session', { cookie, method: 'DELETE' });
    expect([out.status, String(out.headers['set-cookie'])]).toEqual([
      204,
      expect.stringMatching(/^imsync_console=; .*Max-Age=0/),
    ]);
    for (const { url } of [one, other]) {
      // An act asks at once; who only looks is believed for some seconds.
      expect((await askConsole(url, '/api/pause', { cookie, ...ACT })).status).toBe(401);
    }
    expect((await askConsole(one.url, '/api/session', { cookie })).json.error).toBe('no-session');
  });

  test('survives a restart, and ends with its token', async () => {
    const first = await startConsole(server());
    const cookie = await signIn(first.url, VIEW_TOKEN);
    await first.close();
    const second = await open();
    expect((await askConsole(second.url, '/api/session', { cookie })).json).toMatchObject({
      name: 'vic',
      rights: 'view',
    });
    const without = await open({ IMSYNC_CONSOLE_VIEW_TOKENS: 'vic:another-token-0123456789' });
    expect((await askConsole(without.url, '/api/session', { cookie })).status).toBe(401);
  });

  test('ends with its time', async () => {
    const { url } = await open({ IMSYNC_CONSOLE_SESSION_MS: '60000' });
    const cookie = await signIn(url, ACT_TOKEN);
    const [name = '', value = ''] = cookie.split('=');
    const [holder, id, until, mac] = value.split('.');
    expect(Number(until)).toBeLessThanOrEqual(Date.now() + 60_000);
    // Nobody can give it more time, nor make one up.
    for (const forged of [
      `${holder}.${id}.${Number(until) + 3_600_000}.${mac}`,
      `${holder}.${'0'.repeat(32)}.${until}.${mac}`,
      `${'0'.repeat(32)}.${id}.${until}.${mac}`,
      `${holder}.${id}.${until}.${'A'.repeat(43)}`,
      `${holder}.${id}.${until}.`,
      '',
    ])
      expect((await askConsole(url, '/api/session', { cookie: `${name}=${forged}` })).status).toBe(401);
  });

  test('cannot be fixed beforehand: a sign-in makes a new one', async () => {
    const { url } = await open();
    const before = await signIn(url, VIEW_TOKEN);
    const answer = await askConsole(url, '/api/session', {
      cookie: before,
      body: { token: secretOf(ACT_TOKEN) },
    });
    const [after = ''] = String(answer.headers['set-cookie']).split(';');
    expect(after.split('.')[1]).not.toBe(before.split('.')[1]);
    expect((await askConsole(url, '/api/session', { cookie: before })).json.rights).toBe('view');
  });

  test('of a one-time link counts once, and ends with its process', async () => {
    const links = createLinks('ann@here');
    const { url } = await open({}, links);
    const code = links.make();
    const answer = await askConsole(url, '/api/session', { body: { token: code } });
    expect(answer.json).toMatchObject({ name: 'ann@here', rights: 'act', showUsers: true });
    expect((await askConsole(url, '/api/session', { body: { token: code } })).json.error).toBe('wrong-token');
    const [cookie = ''] = String(answer.headers['set-cookie']).split(';');
    expect((await askConsole(url, '/api/pause', { cookie, ...ACT })).status).toBe(200);
    const other = await open({}, createLinks('ann@here'));
    expect((await askConsole(other.url, '/api/session', { cookie })).status).toBe(401);
  });
});

describe('tokens', () => {
  test('wrong ones are slowed, and the right one has to wait as well', async () => {
    const { url } = await open();
    const wrong = () => askConsole(url, '/api/session', { body: { token: 'wrong-token-0123456789' } });
    expect((await wrong()).json).toMatchObject({ error: 'wrong-token', advice: expect.any(String) });
    const slowed = await wrong();
    expect([slowed.status, slowed.json.error, slowed.headers['retry-after']]).toEqual([429, 'too-many', '1']);
    expect((await askConsole(url, '/api/status', { token: 'another-wrong-token-012345' })).status).toBe(429);
    expect((await askConsole(url, '/api/session', { token: ACT_TOKEN })).status).toBe(429);
    await eventually(
      'the right one counts again',
      async () => (await askConsole(url, '/api/session', { token: ACT_TOKEN })).status === 200,
    );
    expect((await wrong()).status).toBe(401);
  });

  test('in a file are read again, and short or doubled ones are refused', async () => {
    let file = 'ann:first-token-0123456789\n';
    const env = {
      IMSYNC_CONSOLE_TOKENS: '',
      IMSYNC_CONSOLE_TOKENS_FILE: '/tokens',
      IMSYNC_CONSOLE_VIEW_TOKENS: '',
    };
    const readFile = (path: string): string => {
      if (path === '/tokens') return file;
      throw Object.assign(new Error(path), { code: 'ENOENT' });
    };
    const { url } = await open(env, undefined, readFile);
    expect((await askConsole(url, '/api/session', { token: 'first-token-0123456789' })).status).toBe(200);
    file = 'bob:second-token-0123456789\n';
    await eventually(
      'the new one counts',
      async () => {
        const { json } = await askConsole(url, '/api/session', { token: 'second-token-0123456789' });
        return json.name === 'bob';
      },
      20_000,
      700,
    );
    file = 'short\n';
    await expect(open(env, undefined, readFile)).rejects.toThrow(/fewer than 16 characters/);
    const twice = { IMSYNC_CONSOLE_VIEW_TOKENS: 'x:acting-token-0123456789' };
    await expect(open(twice)).rejects.toThrow(
      /stands in IMSYNC_CONSOLE_TOKENS and in IMSYNC_CONSOLE_VIEW_TOKENS/,
    );
  });
});

describe('from where', () => {
  test('an act of another page is refused, with every kind of session', async () => {
    const { url } = await open();
    const { host } = new URL(url);
    const cookie = await signIn(url, ACT_TOKEN);
    const foreign = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `http://${host}.evil.example` },
      { origin: `http://127.0.0.1:1` },
      { origin: false as const },
      { headers: { 'sec-fetch-site': 'same-site' } },
      { headers: { 'sec-fetch-site': 'cross-site' } },
    ];
    for (const how of foreign) {
      const { status, json } = await askConsole(url, '/api/pause', { cookie, ...ACT, ...how });
      expect([how, status, json.error]).toEqual([how, 403, 'wrong-origin']);
    }
    for (const how of foreign.filter(({ origin }) => origin !== false && origin !== undefined))
      expect((await askConsole(url, '/api/pause', { token: ACT_TOKEN, ...ACT, ...how })).status).toBe(403);
    const signInFrom = { body: { token: secretOf(VIEW_TOKEN) }, origin: 'https://evil.example' };
    expect((await askConsole(url, '/api/session', signInFrom)).json.error).toBe('wrong-origin');
    expect((await askConsole(url, '/api/pause', { token: ACT_TOKEN, ...ACT, origin: false })).status).toBe(
      200,
    );
    expect(
      (
        await askConsole(url, '/api/resume', {
          cookie,
          body: {},
          headers: { 'sec-fetch-site': 'same-origin' },
        })
      ).status,
    ).toBe(200);
  });

  test('a name that leads here and is not the console’s is refused, the page included', async () => {
    const { url } = await open({ IMSYNC_CONSOLE_ALLOWED_HOSTS: 'console.example.com' });
    for (const path of ['/', '/api/session', '/assets/x.js'])
      for (const host of [
        'evil.example',
        'evil.example:80',
        '127.0.0.1.evil.example',
        'a b',
        'localhost.evil',
      ])
        expect((await askConsole(url, path, { headers: { host }, token: ACT_TOKEN })).json.error).toBe(
          'wrong-host',
        );
    for (const host of [
      'localhost',
      'LOCALHOST:1',
      '127.0.0.1:5',
      '[::1]:5',
      '10.1.2.3',
      'console.example.com',
      'Console.Example.com:443',
    ])
      expect([
        host,
        (await askConsole(url, '/api/session', { headers: { host }, token: ACT_TOKEN })).status,
      ]).toEqual([host, 200]);
  });
});

describe('a proxy in front', () => {
  const sso = {
    IMSYNC_CONSOLE_SSO_HEADER: 'X-Forwarded-User',
    IMSYNC_CONSOLE_SSO_OPERATORS: 'ann@example.com',
  };

  test('shows the console below a path, whether or not it takes the path off', async () => {
    const { url } = await open({ IMSYNC_CONSOLE_BASE_PATH: '/ops/imsync' });
    for (const path of ['/ops/imsync/api/session', '/api/session'])
      expect((await askConsole(url, path, { token: ACT_TOKEN })).status).toBe(200);
    const answer = await askConsole(url, '/ops/imsync/api/session', { body: { token: secretOf(ACT_TOKEN) } });
    expect(String(answer.headers['set-cookie'])).toContain('; Path=/ops/imsync/;');
    expect((await askConsole(url, '/ops/imsyncer/api/session', { token: ACT_TOKEN })).status).toBe(404);
  });

  test('is believed only if it is listed: TLS, host, address and the person', async () => {
    const name = { 'x-forwarded-user': 'ann@example.com' };
    const behind = {
      ...{ 'x-forwarded-proto': 'https', 'x-forwarded-host': 'console.example.com' },
      ...{ 'x-forwarded-for': '203.0.113.7, 127.0.0.1' },
    };
    const listed = await open({
      ...sso,
      IMSYNC_CONSOLE_TRUSTED_PROXIES: '10.0.0.0/8,127.0.0.1',
      IMSYNC_CONSOLE_ALLOWED_HOSTS: 'console.example.com',
    });
    const unlisted = await open({ ...sso, IMSYNC_CONSOLE_TRUSTED_PROXIES: '10.0.0.0/8' });
    expect((await askConsole(unlisted.url, '/api/session', { headers: name })).json.error).toBe('no-session');
    expect((await askConsole(listed.url, '/api/session', { headers: name })).json).toMatchObject({
      name: 'ann@example.com',
      rights: 'act',
      kind: 'sso',
      expiresAt: null,
    });
    const bob = { 'x-forwarded-user': 'bob@example.com' };
    expect((await askConsole(listed.url, '/api/session', { headers: bob })).json).toMatchObject({
      rights: 'view',
      showUsers: false,
    });
    expect((await askConsole(listed.url, '/api/pause', { headers: bob, ...ACT })).json.error).toBe(
      'not-allowed',
    );
    for (const odd of ['', 'ann@example.com, eve@example.com', 'x'.repeat(201)])
      expect(
        (await askConsole(listed.url, '/api/session', { headers: { 'x-forwarded-user': odd } })).status,
      ).toBe(401);
    // The page's origin is the name that the proxy tells.
    const act = { ...ACT, headers: { ...name, ...behind } };
    expect(
      (await askConsole(listed.url, '/api/pause', { ...act, origin: 'https://console.example.com' })).status,
    ).toBe(200);
    expect(
      (await askConsole(listed.url, '/api/pause', { ...act, origin: 'http://console.example.com' })).status,
    ).toBe(403);
    expect(
      (
        await askConsole(unlisted.url, '/api/pause', {
          ...act,
          token: ACT_TOKEN,
          origin: 'https://console.example.com',
        })
      ).status,
    ).toBe(403);
    const signedIn = await askConsole(listed.url, '/api/session', {
      body: { token: secretOf(ACT_TOKEN) },
      headers: behind,
      origin: 'https://console.example.com',
    });
    expect(String(signedIn.headers['set-cookie'])).toMatch(/; Secure$/);
    // Wrong tokens slow the client down, not everybody behind the proxy.
    const wrong = { token: 'wrong-token-0123456789', headers: behind };
    expect((await askConsole(listed.url, '/api/status', wrong)).status).toBe(401);
    expect((await askConsole(listed.url, '/api/status', wrong)).status).toBe(429);
    const elsewhere = { ...behind, 'x-forwarded-for': '203.0.113.8' };
    expect(
      (await askConsole(listed.url, '/api/session', { token: ACT_TOKEN, headers: elsewhere })).status,
    ).toBe(200);
  });
});

describe('what may be asked', () => {
  test('every answer forbids scripts, frames and types of others', async () => {
    const { url } = await open();
    for (const path of ['/', '/api/session', '/api/nothing', '/assets/none.js', '/%ff']) {
      const { headers } = await askConsole(url, path);
      expect(headers['content-security-policy']).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
      expect(headers['content-security-policy']).not.toContain('unsafe');
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['x-frame-options']).toBe('DENY');
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }
    expect((await askConsole(url, '/api/session')).headers['cache-control']).toBe('no-store');
  });

  test('without the built page the server says so, and its API is there', async () => {
    const { url } = await open();
    const { status, json } = await askConsole(url, '/');
    expect([status, json.error, json.message]).toEqual([
      404,
      'not-found',
      expect.stringContaining('was not built'),
    ]);
    expect((await askConsole(url, '/api/nothing')).json.error).toBe('not-found');
  });

  test('bodies are bounded, JSON, and hold nothing unknown; errors say what to do', async () => {
    const { url } = await open();
    const pause = (body: unknown, headers = {}) =>
      askConsole(url, '/api/pause', { token: ACT_TOKEN, body, headers });
    const cases = [
      [await pause({ reason: 'x'.repeat(70_000) }), 413, 'too-large'],
      [await pause('{'), 400, 'malformed'],
      [await pause({ reason: 'x', more: 1 }), 400, 'malformed'],
      [await pause({ reason: 'x\ny' }), 400, 'malformed'],
      [await pause({ reason: '' }), 400, 'malformed'],
      [
        await pause('reason=x', { 'content-type': 'application/x-www-form-urlencoded' }),
        415,
        'unsupported-media-type',
      ],
      [await pause('x', { 'content-type': 'text/plain' }), 415, 'unsupported-media-type'],
      [await askConsole(url, '/api/users/%ff', { token: ACT_TOKEN }), 400, 'malformed'],
      [await askConsole(url, '/api/status', { token: ACT_TOKEN }), 503, 'redis-away'],
    ] as const;
    for (const [{ status, json }, expected, word] of cases) {
      expect([status, json.error]).toEqual([expected, word]);
      expect(json.message).toMatch(/\.$/);
      expect(json.advice).toMatch(/\.$/);
    }
  });

  test('while Redis is away the session stays, and everything goes on when it is back', async () => {
    const { url } = await open();
    const cookie = await signIn(url, ACT_TOKEN);
    await server().shutdown();
    try {
      await eventually(
        'Redis is seen to be away',
        async () => (await askConsole(url, '/api/workers', { cookie })).json.error === 'redis-away',
      );
      expect((await askConsole(url, '/api/session', { cookie })).json.name).toBe('ann');
      expect((await askConsole(url, '/api/pause', { cookie, ...ACT })).json).toMatchObject({
        error: 'redis-away',
        advice: expect.stringContaining('goes on by itself'),
      });
    } finally {
      await server().restart();
    }
    await eventually(
      'it goes on',
      async () => (await askConsole(url, '/api/workers', { cookie })).status === 200,
    );
  }, 30_000);
});
