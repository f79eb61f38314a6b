import type { RuleAction } from '../../../simulator/scenario/rule-action.ts';
import type { RuleMatch, Scenario } from '../../../simulator/scenario/scenario.ts';
import type { Simulator } from '../../../simulator/simulator.ts';
import { callUrl, postJson, simulatorForTest } from '../../support/simulator.ts';
import { until } from './until.ts';

let simulator: Simulator;
beforeAll(async () => {
  simulator = await simulatorForTest();
});
beforeEach(() => {
  simulator.reset();
  simulator.setFaults({});
});
afterAll(() => simulator.close());

function inject(action: RuleAction, match?: RuleMatch, settings: Partial<Scenario> = {}): void {
  simulator.setFaults({ ...settings, rules: [match === undefined ? { action } : { match, action }] });
}

function importOne(userId: string, nick?: string, signal?: AbortSignal) {
  const body = { UserID: userId, Nick: nick };
  return postJson(callUrl(simulator.url, 'account_import'), body, signal ? { signal } : {});
}

function importBatch(...userIds: string[]) {
  return postJson(callUrl(simulator.url, 'multiaccount_import'), { Accounts: userIds });
}

describe('faults of a whole call', () => {
  test('a call that gets an error code changes nothing', async () => {
    inject({ errorCode: 99999, errorInfo: 'made up' }, { times: 1 });
    expect((await importOne('a')).json).toMatchObject({
      ActionStatus: 'FAIL',
      ErrorCode: 99999,
      ErrorInfo: 'made up',
    });
    expect(simulator.accounts.size).toBe(0);
    expect((await importOne('a')).json.ErrorCode).toBe(0);
  });

  test('an error code can follow a call that took effect', async () => {
    inject({ errorCode: 60008, work: 'at-answer' });
    expect((await importOne('a')).json.ErrorCode).toBe(60008);
    expect(simulator.accounts.has('a')).toBe(true);
  });

  test('a gateway answers with an HTML page', async () => {
    inject({ httpStatus: 502 });
    const reply = await importOne('a');
    expect(reply).toMatchObject({ status: 502, json: undefined });
    expect(reply.headers.get('content-type')).toBe('text/html');
    expect(reply.headers.get('retry-after')).toBeNull();
    expect(simulator.accounts.size).toBe(0);
    expect(simulator.report().commands.account_import?.byErrorCode).toEqual({ 'http-502': 1 });
  });

  test('429 carries Retry-After', async () => {
    inject({ httpStatus: 429, retryAfterSeconds: 3 });
    const reply = await importOne('a');
    expect([reply.status, reply.headers.get('retry-after')]).toEqual([429, '3']);
  });

  test('a call that gets garbage took effect', async () => {
    inject({ garbage: '{"ActionStatus":' });
    expect(await importOne('a')).toMatchObject({ status: 200, text: '{"ActionStatus":', json: undefined });
    expect(simulator.accounts.has('a')).toBe(true);
  });

  test('a call that gets half an answer took effect', async () => {
    inject({ truncate: true });
    await expect(importOne('a')).rejects.toBeDefined();
    expect(simulator.accounts.has('a')).toBe(true);
    expect(simulator.calls()[0]?.outcome).toBe('truncated');
  });

  test('a call that is reset before it takes effect changes nothing', async () => {
    inject({ reset: 'before' });
    await expect(importOne('a')).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
    expect(simulator.accounts.has('a')).toBe(false);
    expect(simulator.report().resets).toBe(1);
  });

  test('a call that is reset after it takes effect imports the account', async () => {
    inject({ reset: 'after' });
    await expect(importOne('a')).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
    expect(simulator.accounts.has('a')).toBe(true);
  });

  test('a call with hangMs −1 is never answered', async () => {
    inject({ hangMs: -1 });
    const given = new AbortController();
    const reply = importOne('a', undefined, given.signal);
    await until(() => simulator.report().hangs === 1);
    given.abort();
    await expect(reply).rejects.toMatchObject({ name: 'AbortError' });
    expect(simulator.accounts.has('a')).toBe(false);
    expect(simulator.calls()[0]).toMatchObject({ outcome: 'hung', latencyMs: null });
  });

  test('a hanging call takes effect at its end though the client has left', async () => {
    inject({ hangMs: 100 });
    const given = new AbortController();
    const reply = importOne('a', undefined, given.signal);
    await until(() => simulator.report().hangs === 1);
    given.abort();
    await expect(reply).rejects.toMatchObject({ name: 'AbortError' });
    expect(simulator.accounts.has('a')).toBe(false);
    await until(() => simulator.accounts.has('a'));
    expect(simulator.calls()[0]).toMatchObject({ errorCode: 0, clientGone: true });
  });

  test('a hanging call can take effect at arrival or never', async () => {
    inject({ hangMs: -1, work: 'at-arrival' });
    importOne('a').catch(() => {});
    await until(() => simulator.accounts.has('a'));
    inject({ hangMs: 1, work: 'never' });
    expect((await importOne('b')).json.ErrorCode).toBe(60008);
    expect(simulator.accounts.has('b')).toBe(false);
  });
});

describe('faults of accounts', () => {
  test('a listed account fails in a batch, and alone it gets its own code', async () => {
    inject({ failAccounts: true, singleCode: 70500, strangers: ['nobody'] }, { userIds: ['b'] });
    expect((await importBatch('a', 'b', 'c')).json).toMatchObject({
      ErrorCode: 0,
      FailAccounts: ['b', 'nobody'],
    });
    expect((await importOne('b')).json.ErrorCode).toBe(70500);
    expect([...simulator.accounts.keys()].toSorted()).toEqual(['a', 'c']);
    inject({ failAccounts: true }, { userIds: ['b'] });
    expect((await importOne('b')).json.ErrorCode).toBe(0);
  });

  test('the policy decides what the code of an account does to its batch', async () => {
    const match = { userIdPattern: '^b' };
    inject({ accountCode: 40005 }, match);
    expect((await importBatch('a', 'b')).json).toMatchObject({ ErrorCode: 0, FailAccounts: ['b'] });
    inject({ accountCode: 40005, errorInfo: 'why' }, match, { badAccountsInBatch: 'fail-call' });
    expect((await importBatch('c', 'b')).json).toMatchObject({ ErrorCode: 40005, ErrorInfo: 'why' });
    expect((await importOne('b')).json).toMatchObject({ ErrorCode: 40005, ErrorInfo: 'why' });
    expect([...simulator.accounts.keys()].toSorted()).toEqual(['a']);
  });

  test('the settings of a scenario end with it', async () => {
    simulator.setFaults({ maxAccounts: 0, emptyFailAccounts: 'null' });
    expect((await importOne('a')).json.ErrorCode).toBe(70398);
    simulator.setFaults({ sensitiveWords: ['a'] });
    expect((await importOne('a', 'banana')).json.ErrorCode).toBe(40005);
    simulator.setFaults({});
    expect((await importBatch('a')).json.FailAccounts).toEqual([]);
  });
});

describe('latency', () => {
  test('a slow call that is overtaken leaves the older profile', async () => {
    inject({ latencyMs: [120, 120] }, { times: 1 });
    const slow = importOne('a', 'old');
    await until(() => simulator.calls()[0]?.items === 1);
    await importOne('a', 'new');
    expect(simulator.accounts.get('a')?.nick).toBe('new');
    await slow;
    expect(simulator.accounts.get('a')?.nick).toBe('old');
    expect(simulator.calls()[0]?.latencyMs).toBeGreaterThan(115);
  });

  test('a call that takes effect at arrival cannot be overtaken', async () => {
    inject({ latencyMs: [120, 120] }, { times: 1 }, { workAt: 'at-arrival' });
    const slow = importOne('a', 'old');
    await until(() => simulator.accounts.has('a'));
    await importOne('a', 'new');
    await slow;
    expect(simulator.accounts.get('a')?.nick).toBe('new');
  });

  test('the general latency applies to refusals too', async () => {
    simulator.setFaults({ latencyMs: [30, 40] });
    await importOne('a');
    await postJson(callUrl(simulator.url, 'account_import', { random: 'x' }), {});
    for (const { latencyMs } of simulator.calls()) expect(latencyMs).toBeGreaterThan(28);
  });

  test('closing cancels pending answers', async () => {
    const other = await simulatorForTest({ latencyMs: [60_000, 60_000] });
    const reply = postJson(callUrl(other.url, 'account_import'), { UserID: 'a' });
    reply.catch(() => {});
    await until(() => other.calls().length === 1);
    await other.close();
    await expect(reply).rejects.toBeDefined();
    await other.close();
    expect(other.accounts.size).toBe(0);
  });
});
