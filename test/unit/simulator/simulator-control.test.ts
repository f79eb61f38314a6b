import type { Simulator } from '../../../simulator/simulator.ts';
import { callUrl, postJson, readReply, simulatorForTest } from '../../support/simulator.ts';

let simulator: Simulator;
beforeAll(async () => {
  simulator = await simulatorForTest({ maxBodyBytes: 5000 });
});
beforeEach(async () => {
  simulator.reset();
  simulator.setFaults({});
  await importAccounts('a', 'b c');
});
afterAll(() => simulator.close());

function importAccounts(...userIds: string[]) {
  return postJson(callUrl(simulator.url, 'multiaccount_import'), { Accounts: userIds });
}

async function get(path: string) {
  return readReply(await fetch(`${simulator.url}/_sim/${path}`));
}

function change(method: string, path: string, body: unknown, token = simulator.controlToken) {
  const headers = { Authorization: `Bearer ${token}` };
  return postJson(`${simulator.url}/_sim/${path}`, body, { method, headers });
}

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('/_sim/, reading', () => {
  test('GET /_sim/report returns the report', async () => {
    const { json } = await get('report');
    expect(json).toMatchObject({ accounts: 2, commands: { multiaccount_import: { calls: 1, items: 2 } } });
    expect(Number.isNaN(Date.parse(json.startedAt))).toBe(false);
  });

  test('accounts are returned as lines or one by one', async () => {
    const reply = await get('accounts');
    expect(reply.headers.get('content-type')).toBe('application/x-ndjson');
    const byId = linesOf(reply.text).toSorted((x, y) => (x.userId < y.userId ? -1 : 1));
    expect(byId).toMatchObject([{ userId: 'a', imports: 1 }, { userId: 'b c' }]);
    expect((await get('accounts/b%20c')).json).toMatchObject({ userId: 'b c', type: 0 });
    expect((await get('accounts/zz')).status).toBe(404);
    expect((await get('accounts/%')).status).toBe(400);
  });

  test('more accounts than fit one chunk are returned', async () => {
    for (let i = 0; i < 25; i += 1) {
      await importAccounts(...Array.from({ length: 100 }, (_, j) => `u${i}-${j}`));
    }
    expect(linesOf((await get('accounts')).text)).toHaveLength(2502);
  });

  test('the call log is returned as lines', async () => {
    const calls = linesOf((await get('calls')).text);
    expect(calls).toMatchObject([{ seq: 1, command: 'multiaccount_import', items: 2, errorCode: 0 }]);
    expect(calls[0].arrivedAtMs % 1).not.toBe(0);
  });

  test('other paths answer 404', async () => {
    expect((await get('')).status).toBe(404);
    expect((await get('nothing')).json.error).toMatch(/no GET/);
  });
});

describe('/_sim/, changing', () => {
  test.each([
    ['PUT', 'faults', {}],
    ['PUT', 'quotas', {}],
    ['POST', 'reset', {}],
    ['POST', 'accounts/delete', { userIds: ['a'] }],
  ])('%s %s wants the token', async (method, path, body) => {
    expect((await change(method, path, body, 'wrong')).status).toBe(401);
    const without = await postJson(`${simulator.url}/_sim/${path}`, body, { method });
    expect(without.status).toBe(401);
    expect(without.text).not.toContain(simulator.controlToken);
    expect(simulator.accounts.size).toBe(2);
    expect((await change(method, path, body)).status).toBe(200);
  });

  test('faults can be set, shown and replaced', async () => {
    const scenario = { rules: [{ match: { times: 1 }, action: { errorCode: 70169 } }] };
    expect((await change('PUT', 'faults', scenario)).json).toEqual(scenario);
    expect((await get('faults')).json).toEqual(scenario);
    expect((await importAccounts('c')).json.ErrorCode).toBe(70169);
    expect((await importAccounts('c')).json.ErrorCode).toBe(0);
    await change('PUT', 'faults', {});
    expect((await get('faults')).json).toEqual({});
  });

  test('invalid faults change nothing', async () => {
    await change('PUT', 'faults', { maxAccounts: 7 });
    const reply = await change('PUT', 'faults', { rules: [{ action: { errorCode: 'x' } }] });
    expect(reply.status).toBe(400);
    expect(reply.json.error).toMatch(/^rules\[0\]\.action\.errorCode must be a whole number/);
    expect((await change('PUT', 'faults', '{')).json.error).toBe('The scenario is not valid JSON.');
    expect((await get('faults')).json).toEqual({ maxAccounts: 7 });
  });

  test('quotas can be changed by name', async () => {
    const before = (await get('quotas')).json;
    expect((await change('PUT', 'quotas', { account_check: 7 })).json).toEqual({
      ...before,
      account_check: 7,
    });
    expect((await change('PUT', 'quotas', { account_chek: 7 })).status).toBe(400);
  });

  test('accounts can be deleted at a given time', async () => {
    const deletedAtMs = Date.now() - 100 * 86_400_000;
    const first = await change('POST', 'accounts/delete', { userIds: ['a', 'zz'], deletedAtMs });
    expect(first.json).toEqual({ deleted: 1 });
    await change('POST', 'accounts/delete', { userIds: ['b c'] });
    expect((await importAccounts('a', 'b c')).json.FailAccounts).toEqual(['b c']);
    expect((await change('POST', 'accounts/delete', { ids: [] })).status).toBe(400);
  });

  test('reset clears accounts, calls and counters but not the scenario', async () => {
    await change('PUT', 'faults', { maxAccounts: 7 });
    await change('POST', 'reset', {});
    expect((await get('accounts')).text).toBe('');
    expect((await get('calls')).text).toBe('');
    expect((await get('report')).json).toMatchObject({ accounts: 0, commands: {} });
    expect((await get('faults')).json).toEqual({ maxAccounts: 7 });
  });

  test('a body that is too large is refused', async () => {
    expect((await change('PUT', 'faults', 'x'.repeat(6000))).status).toBe(413);
  });
});

describe('options of the simulator', () => {
  test('are checked', async () => {
    await expect(simulatorForTest({ secretKey: '' })).rejects.toThrow(/secretKey must be a text/);
    await expect(simulatorForTest({ sdkAppId: 0 })).rejects.toThrow(/sdkAppId must be a whole number/);
    await expect(simulatorForTest({ controlToken: 'short' })).rejects.toThrow(/controlToken must be/);
    await expect(simulatorForTest({ latencyMs: [2, 1] })).rejects.toThrow(/options\.latencyMs/);
    await expect(simulatorForTest({ quotas: { total: -1 } })).rejects.toThrow(/quotas\.total/);
    await expect(simulatorForTest({ port: simulator.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
