import { once } from 'node:events';
import { connect } from 'node:net';
import type { Simulator } from '../../../simulator/simulator.ts';
import { callUrl, postJson, simulatorForTest, userSigForTest } from '../../support/simulator.ts';
import { until } from './until.ts';

let simulator: Simulator;
beforeAll(async () => {
  simulator = await simulatorForTest({ maxBodyBytes: 20_000 });
});
beforeEach(() => simulator.reset());
afterAll(() => simulator.close());

function call(command: string, body: unknown, query = {}) {
  return postJson(callUrl(simulator.url, command, query), body);
}

describe('calls over HTTP', () => {
  test('multiaccount_import accepts the current form', async () => {
    const accounts = [{ UserID: 'a', Nick: 'A', FaceUrl: 'http://a' }, { UserID: 'b' }];
    const reply = await call('multiaccount_import', { AccountList: accounts });
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toMatch(/^application\/json/);
    expect(reply.json).toEqual({
      ActionStatus: 'OK',
      ErrorCode: 0,
      ErrorInfo: '',
      FailAccounts: [],
      RequestId: expect.stringMatching(/./),
    });
    expect(simulator.accounts.get('a')).toMatchObject({ nick: 'A', faceUrl: 'http://a', imports: 1 });
    expect(simulator.accounts.get('b')).toMatchObject({ nick: undefined, type: 0 });
  });

  test('multiaccount_import accepts the legacy form', async () => {
    const reply = await call('multiaccount_import', { Accounts: ['a', '@TGS#b', 'c'] });
    expect(reply.json).toMatchObject({ ErrorCode: 0, FailAccounts: ['@TGS#b'] });
    expect([...simulator.accounts.keys()].toSorted()).toEqual(['a', 'c']);
  });

  test('account_import accepts the current form', async () => {
    const reply = await call('account_import', { UserID: 'a', Nick: '名' });
    expect(reply.json).toMatchObject({ ActionStatus: 'OK', ErrorCode: 0, ErrorInfo: '' });
    expect(reply.json).not.toHaveProperty('FailAccounts');
    expect(simulator.accounts.get('a')?.nick).toBe('名');
  });

  test('account_import ignores Type in the current form and makes an ordinary account', async () => {
    const reply = await call('account_import', { UserID: 'bot', Nick: 'robot', Type: 1 });
    expect(reply.json).toMatchObject({ ActionStatus: 'OK', ErrorCode: 0 });
    expect(simulator.accounts.get('bot')).toMatchObject({ nick: 'robot', type: 0 });
    expect((await call('account_import', { UserID: '@RBT#1', Type: 1 })).json.ErrorCode).toBe(70402);
  });

  test('account_import accepts the legacy form', async () => {
    await call('account_import', { Identifier: '@RBT#1', Nick: 'robot', Type: 1 });
    expect(simulator.accounts.get('@RBT#1')).toMatchObject({ nick: 'robot', type: 1 });
    const reply = await call('account_import', { Identifier: 'x'.repeat(33) });
    expect(reply.json).toMatchObject({ ActionStatus: 'FAIL', ErrorCode: 70402 });
    expect(reply.json.ErrorInfo).toMatch(/./);
  });

  test('register_account_v1 creates an account and refuses a known one', async () => {
    const body = { Identifier: 'TestAccount1', IdentifierType: 3, Password: 'pas122333' };
    expect((await call('register_account_v1', body)).json.ErrorCode).toBe(0);
    expect((await call('register_account_v1', body)).json.ErrorCode).toBe(70402);
    expect(JSON.stringify([...simulator.accounts.values()])).not.toContain('pas122333');
  });

  test('account_check and account_delete answer for each account', async () => {
    await call('account_import', { UserID: 'a' });
    const check = { CheckItem: [{ UserID: 'a' }, { UserID: 'b' }] };
    expect((await call('account_check', check)).json.ResultItem).toEqual([
      { UserID: 'a', ResultCode: 0, ResultInfo: '', AccountStatus: 'Imported' },
      { UserID: 'b', ResultCode: 0, ResultInfo: '', AccountStatus: 'NotImported' },
    ]);
    const gone = await call('account_delete', { DeleteItem: [{ UserID: 'a' }] });
    expect(gone.json.ResultItem).toEqual([{ UserID: 'a', ResultCode: 0, ResultInfo: '' }]);
    expect((await call('account_import', { UserID: 'a' })).json.ErrorCode).toBe(70399);
  });

  test('refusals of query, signature and body have HTTP status 200', async () => {
    const body = { UserID: 'a' };
    const codeOf = async (reply: ReturnType<typeof postJson>) => [
      (await reply).status,
      (await reply).json.ErrorCode,
    ];
    expect(await codeOf(postJson(`${simulator.url}/v4/im_open_login_svc/kick`, body))).toEqual([200, 60009]);
    expect(await codeOf(postJson(simulator.url, body))).toEqual([200, 60002]);
    expect(await codeOf(call('account_import', body, { sdkappid: undefined }))).toEqual([200, 60012]);
    expect(await codeOf(call('account_import', body, { usersig: userSigForTest({ time: 1 }) }))).toEqual([
      200, 70001,
    ]);
    expect(await codeOf(call('account_import', '{'))).toEqual([200, 60003]);
    expect(await codeOf(call('account_import', { UserID: 1 }))).toEqual([200, 60015]);
    expect(simulator.accounts.size).toBe(0);
    expect(simulator.report()).toMatchObject({
      unknownRequests: 2,
      commands: {
        account_import: {
          calls: 4,
          accepted: 2,
          refused: 0,
          byErrorCode: { 60012: 1, 70001: 1, 60003: 1, 60015: 1 },
        },
      },
    });
  });

  test('a body that is too large is refused and the connection stays open', async () => {
    const reply = await call('account_import', { UserID: 'a', Nick: 'x'.repeat(30_000) });
    expect(reply.status).toBe(413);
    expect(reply.json.error).toMatch(/larger than 20000 bytes/);
    expect((await call('account_import', { UserID: 'a' })).json.ErrorCode).toBe(0);
  });

  test('a client that leaves before the end of its body imports nothing', async () => {
    const url = new URL(callUrl(simulator.url, 'account_import'));
    const socket = connect(simulator.port, simulator.host);
    await once(socket, 'connect');
    socket.write(
      `POST ${url.pathname}${url.search} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"UserID":`,
    );
    await until(() => simulator.calls().length === 1);
    socket.destroy();
    await until(() => simulator.report().clientsGone === 1);
    expect(simulator.calls()[0]).toMatchObject({ outcome: 'aborted', errorCode: null });
    expect(simulator.accounts.size).toBe(0);
  });

  test('the report counts calls, items, repeats within a call and imports per account', async () => {
    await call('multiaccount_import', { Accounts: ['a', 'b', 'a'] });
    await call('multiaccount_import', { Accounts: ['a'] });
    const report = simulator.report();
    expect(report).toMatchObject({
      accounts: 2,
      profiles: 0,
      importsPerAccount: { max: 3, moreThanOnce: 1 },
      allCommands: { calls: 2, maxInRollingSecond: 2 },
      commands: {
        multiaccount_import: {
          calls: 2,
          accepted: 2,
          items: 4,
          meanItems: 2,
          duplicatesInACall: 1,
          maxInRollingSecond: 2,
          startedLastSecond: 2,
          byErrorCode: { 0: 2 },
        },
      },
    });
    const [first, second] = simulator.calls();
    expect(first).toMatchObject({
      seq: 1,
      command: 'multiaccount_import',
      items: 3,
      errorCode: 0,
      outcome: 'answered',
    });
    expect(first?.latencyMs).toBeGreaterThanOrEqual(0);
    expect(second?.arrivedAtMs).toBeGreaterThan(first?.arrivedAtMs ?? Number.POSITIVE_INFINITY);
  });
});

describe('quotas over HTTP', () => {
  test('calls over the quota are refused and count as arrivals', async () => {
    simulator.setQuotas({ multiaccount_import: 5 });
    const url = callUrl(simulator.url, 'multiaccount_import');
    const bodies = Array.from({ length: 12 }, (_, i) => ({ Accounts: [`u${i}`] }));
    const codes = (await Promise.all(bodies.map((body) => postJson(url, body)))).map((r) => r.json.ErrorCode);
    const report = simulator.report().commands.multiaccount_import;
    const refused = codes.filter((code) => code === 60007).length;
    // Within one second seven are refused. On a slow machine a few more pass.
    expect(refused).toBeLessThanOrEqual(7);
    expect(report).toMatchObject({ calls: 12, accepted: 12 - refused, refused });
    expect(report?.maxInRollingSecond).toBeGreaterThanOrEqual(5 + Math.min(refused, 1));
    expect(simulator.accounts.size).toBe(12 - refused);
  });

  test('the quota follows the given clock', async () => {
    let nowMs = Date.now();
    const still = await simulatorForTest({ nowMs: () => nowMs, quotas: { account_import: 1, total: 2 } });
    const post = async (command: string, body: unknown) =>
      (await postJson(callUrl(still.url, command), body)).json.ErrorCode;
    try {
      expect(await post('account_import', { UserID: 'a' })).toBe(0);
      expect(await post('account_import', { UserID: 'b' })).toBe(60007);
      expect(await post('account_check', { CheckItem: [{ UserID: 'a' }] })).toBe(0);
      expect(await post('account_check', { CheckItem: [{ UserID: 'a' }] })).toBe(60011);
      nowMs += 1000;
      expect(await post('account_import', { UserID: 'b' })).toBe(0);
      expect(still.report().allCommands).toMatchObject({
        calls: 5,
        maxInRollingSecond: 4,
        maxIn10Ms: 4,
        maxSurelyIn10Ms: 4,
      });
    } finally {
      await still.close();
    }
  });
});
