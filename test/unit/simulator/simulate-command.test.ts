import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readScenario } from '../../../simulator/scenario/scenario.ts';
import { callUrl, postJson, TEST_APP } from '../../support/simulator.ts';
import { SimulateRun } from './simulate-process.ts';

const ENV = {
  IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
  IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'imsync-simulate-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe('imsync simulate', () => {
  test('runs until SIGTERM and prints its URL and its report', async () => {
    const reportFile = join(folder, 'report.json');
    const run = new SimulateRun(['--port', '0', '--max-accounts', '1', '--report-file', reportFile], ENV);
    const ready = JSON.parse((await run.line()) ?? '');
    expect(ready).toMatchObject({ msg: 'simulator is ready', controlUrl: `${ready.url}/_sim/` });

    const reply = await postJson(callUrl(ready.url, 'multiaccount_import'), { Accounts: ['a', 'b'] });
    expect(reply.json).toMatchObject({ ErrorCode: 0, FailAccounts: ['b'] });
    const headers = { Authorization: `Bearer ${ready.controlToken}` };
    const quotas = await postJson(`${ready.controlUrl}quotas`, { total: 9 }, { method: 'PUT', headers });
    expect(quotas.json).toMatchObject({ total: 9, multiaccount_import: 100 });

    run.process.kill('SIGTERM');
    const report = JSON.parse((await run.line()) ?? '');
    expect(report).toMatchObject({ accounts: 1, commands: { multiaccount_import: { calls: 1, items: 2 } } });
    expect(await run.ended).toBe(0);
    expect(JSON.parse(readFileSync(reportFile, 'utf8'))).toEqual(report);
    expect(run.stderr).toBe('');
  });

  test.each(['SIGINT', 'SIGHUP'] as const)(
    'takes key, token and scenario from files, and stops at %s',
    async (signal) => {
      const args = [
        '--port=0',
        '--host=127.0.0.2',
        '--latency=1-2',
        '--quota=account_import=7',
        '--quota=total=9',
        '--sensitive-word=bad',
        '--bad-accounts-in-batch=fail-call',
        `--scenario=${fileOf('scenario.json', '{"rules":[{"match":{"times":1},"action":{"errorCode":70169}}]}')}`,
        `--control-token-file=${fileOf('token.txt', 'a-token-of-mine\n')}`,
      ];
      const env = {
        IMSYNC_SDK_APP_ID: ENV.IMSYNC_SDK_APP_ID,
        IMSYNC_SDK_SECRET_KEY_FILE: fileOf('key.txt', `${TEST_APP.secretKey}\n`),
      };
      const run = new SimulateRun(args, env);
      const ready = JSON.parse((await run.line()) ?? '');
      expect(ready).not.toHaveProperty('controlToken');
      const url = callUrl(ready.url, 'multiaccount_import');
      const body = { AccountList: [{ UserID: 'a', Nick: 'bad' }] };
      expect((await postJson(url, body)).json.ErrorCode).toBe(70169);
      expect((await postJson(url, body)).json.ErrorCode).toBe(40005);
      const headers = { Authorization: 'Bearer a-token-of-mine' };
      const quotas = await postJson(`${ready.controlUrl}quotas`, {}, { method: 'PUT', headers });
      expect(quotas.json).toMatchObject({ account_import: 7, total: 9 });
      run.process.kill(signal);
      expect(await run.ended).toBe(0);
    },
  );

  test.each<[string, string[], NodeJS.ProcessEnv, RegExp]>([
    ['no app', [], {}, /Set IMSYNC_SDK_APP_ID/],
    ['no key', [], { IMSYNC_SDK_APP_ID: '1' }, /Set IMSYNC_SDK_SECRET_KEY or IMSYNC_SDK_SECRET_KEY_FILE/],
    [
      'a key file that is not there',
      [],
      { IMSYNC_SDK_APP_ID: '1', IMSYNC_SDK_SECRET_KEY_FILE: '/no/file' },
      /cannot be read/,
    ],
    ['an unknown option', ['--nonsense'], ENV, /unknown option/],
    ['a word too many', ['nonsense'], ENV, /too many arguments/],
    ['a bad port', ['--port', '70000'], ENV, /whole number from 0 to 65535/],
    ['a bad latency', ['--latency', '9-1'], ENV, /MIN-MAX/],
    ['a quota of nothing', ['--quota', 'kick=1'], ENV, /unknown key "kick"/],
    ['a scenario that is not there', ['--scenario', '/no/file'], ENV, /--scenario cannot be read/],
  ])('exits 2 for %s', async (_name, args, env, sentence) => {
    const run = new SimulateRun(args, env);
    expect(await run.ended).toBe(2);
    expect(run.stderr).toMatch(sentence);
    expect(await run.line()).toBeUndefined();
  });

  test('warns if other machines can reach it, and exits 1 if the port is taken', async () => {
    const open = new SimulateRun(['--port', '0', '--host', '0.0.0.0'], ENV);
    const { url } = JSON.parse((await open.line()) ?? '');
    const second = new SimulateRun(['--port', new URL(url).port], ENV);
    expect(await second.ended).toBe(1);
    expect(second.stderr).toMatch(/cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
    open.process.kill('SIGTERM');
    expect(await open.ended).toBe(0);
    expect(open.stderr).toMatch(/^Warning: .* others can reach it/);
  });

  test('--help explains the options and shows a valid scenario', async () => {
    const run = new SimulateRun(['--help'], {});
    let help = '';
    for (let line = await run.line(); line !== undefined; line = await run.line()) help += `${line}\n`;
    expect(await run.ended).toBe(0);
    for (const part of ['--scenario', 'IMSYNC_SDK_SECRET_KEY_FILE', 'Example:', 'fail-call']) {
      expect(help).toContain(part);
    }
    const scenario = /^ {2}(\{"rules"[\s\S]*\]\})$/m.exec(help)?.[1] ?? '';
    expect(readScenario(JSON.parse(scenario)).rules).toHaveLength(3);
  });
});
