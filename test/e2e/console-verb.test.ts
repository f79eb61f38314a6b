import { askConsole } from '../support/console-api.ts';
import { eventually } from '../support/eventually.ts';
import { drained, type Stage, setStage } from '../support/stage.ts';

/** `imsync console`: beside a fleet, on loopback, with a link that signs in once. */

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
}, 120_000);
afterAll(() => stage?.end(), 60_000);

test('its link signs in once, the page acts on the fleet, and Ctrl-C ends it', async () => {
  const console = stage.start(['console']);
  const link = await eventually('a link', () => console.lines.find((line) => line.includes('#token=')));
  const [, base = '', token = ''] = /^(http:\/\/127\.0\.0\.1:\d+)\/#token=(\S{32})$/.exec(link) ?? [];
  expect(base).not.toBe('');
  const answer = await askConsole(base, '/api/session', { body: { token } });
  expect(answer.json).toMatchObject({ rights: 'act', kind: 'session' });
  expect((await askConsole(base, '/api/session', { body: { token } })).status).toBe(401);
  const [cookie = ''] = String(answer.headers['set-cookie']).split(';');
  const status = await askConsole(base, '/api/status', { cookie });
  expect(status.json.sentence).toMatchObject({ code: 'no-workers', level: 'bad' });
  // The key is there, so the API can be asked; no worker is needed for it.
  expect((await askConsole(base, '/api/users/nobody', { cookie })).json.state).toBe('missing');
  expect((await askConsole(base, '/api/users/zoe/import', { cookie, body: {} })).status).toBe(202);
  await stage.worker();
  await drained(stage);
  await eventually('she has an account', async () => {
    return (await askConsole(base, '/api/users/zoe', { cookie })).json.state === 'imported';
  });
  expect((await askConsole(base, '/', {})).text).toContain('<base href="/"');
  console.signal('SIGINT');
  expect([await console.ended, console.stderr()]).toEqual([0, expect.stringContaining('open this link')]);
}, 120_000);

test('settings of a single sign-on are for workers: nobody else of this machine becomes an operator', async () => {
  const console = stage.start(['console'], {
    IMSYNC_CONSOLE_TRUSTED_PROXIES: '127.0.0.1',
    IMSYNC_CONSOLE_SSO_HEADER: 'X-Forwarded-User',
    IMSYNC_CONSOLE_SSO_OPERATORS: 'ann@example.com',
  });
  const link = await eventually('a link', () => console.lines.find((line) => line.includes('#token=')));
  const [base = ''] = link.split('/#');
  const headers = { 'x-forwarded-user': 'ann@example.com' };
  expect((await askConsole(base, '/api/session', { headers })).json.error).toBe('no-session');
  console.signal('SIGINT');
  expect(await console.ended).toBe(0);
}, 60_000);

test('Redis out of reach is exit code 3, a port in use 2', async () => {
  const { code, stderr } = await stage.verb(['console'], { IMSYNC_REDIS_URL: 'redis://127.0.0.1:1' });
  expect([code, stderr]).toEqual([3, expect.stringContaining('Redis cannot be reached')]);
  const { port } = stage.redis;
  const taken = await stage.verb(['console', '--port', String(port)]);
  expect([taken.code, taken.stderr]).toEqual([2, expect.stringContaining('the port is in use')]);
});
