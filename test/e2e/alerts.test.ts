import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { dashboard, queries } from '../../scripts/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/redis-server.ts';
import { type Stage, setStage } from '../support/stage.ts';

/**
 * The alerts, in promtool and in a real Prometheus that scrapes real workers. Skipped where Debian's package `prometheus` is
 * not installed, unless TEST_PROMETHEUS is `must`.
 */
const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const isHere = (process.env.PATH ?? '')
  .split(delimiter)
  .some((folder) => existsSync(join(folder, 'promtool')));
const describeHere = isHere || process.env.TEST_PROMETHEUS === 'must' ? describe : describe.skip;
const alertsFile = join(root, 'deploy/prometheus-alerts.yml');

test('the dashboard is the one that scripts/dashboard.ts makes', () => {
  expect(readFileSync(join(root, 'deploy/grafana/imsync.json'), 'utf8')).toBe(dashboard());
});

describeHere('promtool', () => {
  test('takes the rules, and each fires and does not fire with the values of its test', async () => {
    await run('promtool', ['check', 'rules', alertsFile]);
    await run('promtool', ['test', 'rules', join(root, 'deploy/prometheus-alerts.test.yml')]);
    const tests = readFileSync(join(root, 'deploy/prometheus-alerts.test.yml'), 'utf8');
    const names = [...readFileSync(alertsFile, 'utf8').matchAll(/alert: (\w+)/g)].map(
      ([, name = '']) => name,
    );
    const firing = (name: string) => new RegExp(`alertname: ${name}\\n +exp_alerts:\\n`).test(tests);
    const calm = (name: string) => tests.includes(`alertname: ${name}, exp_alerts: [] }`);
    expect(names.filter((name) => !firing(name) || (!calm(name) && name !== 'ImsyncNoWorker'))).toEqual([]);
  }, 120_000);
});

describeHere('a Prometheus that scrapes two workers', () => {
  let stage: Stage;
  let folder: string;
  let url: string;
  let targets: string[];
  let prometheus: ReturnType<typeof spawn>;

  beforeAll(async () => {
    stage = await setStage();
    folder = await mkdtemp(join(tmpdir(), 'imsync-prometheus-'));
    // With notices and a relay on there are all metrics that alerts and the dashboard ask for. No database answers it.
    const env = {
      IMSYNC_NOTIFY_URLS: `json+http://127.0.0.1:9/x#secret=${'s'.repeat(16)}`,
      IMSYNC_DATABASE_URL: 'postgres://127.0.0.1:9/app',
      IMSYNC_RELAY_IN_WORKER: 'true',
    };
    const workers = [await stage.worker(env), await stage.worker(env)];
    targets = await Promise.all(
      workers.map(
        async (worker) =>
          new URL(String((await worker.line('ops server listens: /livez, /readyz, /status, /metrics')).url))
            .host,
      ),
    );
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [alertsFile],
      scrape_configs: [{ job_name: 'imsync', static_configs: [{ targets }] }],
    };
    await writeFile(join(folder, 'prometheus.json'), JSON.stringify(config));
    url = `http://127.0.0.1:${await freePort()}`;
    prometheus = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.json')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${new URL(url).host}`,
      ],
      { stdio: 'ignore' },
    );
    await eventually(
      'Prometheus has scraped both',
      async () => (await values('up')).join() === '1,1',
      60_000,
    );
  }, 120_000);

  afterAll(async () => {
    const ended = new Promise((resolve) => prometheus.once('exit', resolve));
    prometheus.kill();
    await ended;
    await stage.end();
    await rm(folder, { recursive: true, force: true });
  }, 120_000);

  async function asked(path: string) {
    const response = await fetch(`${url}/api/v1/${path}`).catch(() => undefined);
    return response?.ok ? ((await response.json()) as { data: Answer }).data : undefined;
  }

  interface Answer {
    readonly result: readonly { readonly value: readonly [number, string] }[];
    readonly groups: readonly { readonly rules: readonly Rule[] }[];
  }

  interface Rule {
    readonly name: string;
    readonly health: string;
    readonly state?: string;
    readonly lastError?: string;
  }

  async function values(query: string): Promise<string[]> {
    const data = await asked(`query?query=${encodeURIComponent(query)}`);
    return data?.result.map(({ value }) => value[1]) ?? [];
  }

  async function rules(): Promise<Rule[]> {
    return (await asked('rules'))?.groups.flatMap((group) => group.rules) ?? [];
  }

  const pending = async (name: string): Promise<boolean> =>
    (await rules()).some((rule) => rule.name === name && rule.state !== 'inactive');

  test('finds nothing to complain about in the metrics of a worker', async () => {
    await stage.push({ userId: 'measured', nick: 'n' });
    const text = await eventually('the event is counted', async () => {
      const page = await (await fetch(`http://${targets[0]}/metrics`)).text();
      const other = await (await fetch(`http://${targets[1]}/metrics`)).text();
      return [page, other].find((one) => /imsync_events_total\{outcome="imported"\} [1-9]/.test(one)) ?? null;
    });
    const promtool = spawn('promtool', ['check', 'metrics']);
    let complaints = '';
    for (const output of [promtool.stdout, promtool.stderr])
      output.setEncoding('utf8').on('data', (chunk: string) => {
        complaints += chunk;
      });
    promtool.stdin.end(text);
    const code = await new Promise((resolve) => promtool.once('close', resolve));
    // What Node's own metrics are called is prom-client's affair.
    expect(complaints.split('\n').filter((line) => line.startsWith('imsync_'))).toEqual([]);
    expect(complaints === '' ? code : 0).toBe(0);
  }, 120_000);

  test('evaluates every rule without an error', async () => {
    for (let n = 0; n < 20; n++) await stage.push({ userId: `u${n}`, nick: 'n' });
    const all = await eventually(
      'all rules were evaluated',
      async () => {
        const found = await rules();
        return found.length > 0 && found.every(({ health }) => health !== 'unknown') && found;
      },
      60_000,
    );
    expect(all.filter(({ health }) => health !== 'ok')).toEqual([]);
  }, 90_000);

  test('sees each metric that an alert asks for', async () => {
    const text = readFileSync(alertsFile, 'utf8');
    const names = new Set([...text.matchAll(/\bimsync_[a-z_]+/g)].map(([name]) => name));
    // Without the HTTP intake there are none.
    names.delete('imsync_intake_requests_total');
    const unseen = async (): Promise<string[]> => {
      const found = await Promise.all(
        [...names].map(async (name) => ((await values(name)).length > 0 ? [] : [name])),
      );
      return found.flat();
    };
    await eventually('every metric is there', async () => (await unseen()).length === 0, 30_000).catch(
      () => undefined,
    );
    expect(await unseen()).toEqual([]);
  }, 120_000);

  test('answers every query of the dashboard', async () => {
    const asked = queries.map((query) =>
      query.replaceAll('$job', '.+').replaceAll('$instance', '.+').replaceAll('$__rate_interval', '30s'),
    );
    expect(asked.length).toBeGreaterThan(30);
    const unanswered = async (): Promise<string[]> => {
      const found = await Promise.all(
        asked.map(async (query) => ((await values(query)).length > 0 ? [] : [query])),
      );
      return found.flat();
    };
    await eventually('all are answered', async () => (await unanswered()).length === 0, 45_000).catch(
      () => undefined,
    );
    expect(await unanswered()).toEqual([]);
  }, 90_000);

  test('a hold, letters and a Redis that is away make their alerts pending; they calm down again', async () => {
    // No database answers the relay of either worker.
    await eventually('ImsyncRelayStopped is pending', () => pending('ImsyncRelayStopped'), 60_000);
    expect(await pending('ImsyncHeld')).toBe(false);
    stage.simulator.setFaults({ rules: [{ match: {}, action: { errorCode: 70003 } }] });
    await stage.push({ userId: 'held', nick: 'n' });
    await eventually('ImsyncHeld is pending', () => pending('ImsyncHeld'), 60_000);
    stage.simulator.setFaults({ rules: [{ match: { userIds: ['bad'] }, action: { accountCode: 70402 } }] });
    await stage.push({ userId: 'bad', nick: 'n' });
    await eventually('the hold is over', async () => !(await pending('ImsyncHeld')), 90_000);
    await eventually('ImsyncDeadLetters is pending', () => pending('ImsyncDeadLetters'), 60_000);
    await stage.redis.stop();
    await eventually('ImsyncRedisAway is pending', () => pending('ImsyncRedisAway'), 60_000);
  }, 300_000);
});
