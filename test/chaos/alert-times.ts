import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { RuleAction } from '../../simulator/scenario/rule-action.ts';
import { eventually } from '../support/eventually.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { freePort } from '../support/redis-server.ts';

/**
 * `npm run chaos:alerts -- [WORD...]`: causes faults of the runbook one by one, each in a fleet of its own under steady
 * signups, with a real Prometheus that scrapes and evaluates as deploy/ ships it. Prints how long each alert took. WORD
 * chooses faults. All run at the same time and wait; it takes about 20 minutes. Ends with 1 if an expected alert did not fire.
 */
interface Fault {
  readonly name: string;
  /** The alert that the runbook's reader gets. Others may fire, too. */
  readonly alert: string;
  /** Begins the fault. Resolves to what to do each second from then on. */
  begin(fleet: Fleet): Promise<(() => unknown) | undefined> | undefined;
}

const everyCall =
  (action: RuleAction, rate = 1) =>
  (fleet: Fleet): undefined => {
    fleet.simulator.setFaults({ rules: [{ match: { rate }, action }] });
  };

const INTAKE_TOKEN = 'token-of-the-alert-times';
const FAULTS: readonly Fault[] = [
  { name: 'the API refuses our key (70003)', alert: 'ImsyncHeld', begin: everyCall({ errorCode: 70003 }) },
  { name: 'the API is away (502)', alert: 'ImsyncHeld', begin: everyCall({ httpStatus: 502 }) },
  {
    name: 'each call takes 6 s',
    alert: 'ImsyncEventsTooLateFast',
    begin: everyCall({ latencyMs: [6_000, 6_000] }),
  },
  {
    name: 'the API is away for long',
    alert: 'ImsyncEventsWait',
    begin: everyCall({ errorCode: 70003 }),
  },
  {
    name: 'Redis is killed',
    alert: 'ImsyncRedisAway',
    begin: async ({ server }) => {
      await server.kill();
      return undefined;
    },
  },
  {
    name: 'Redis is killed, and backends post to the HTTP intake',
    alert: 'ImsyncIntakeRefuses',
    begin: async ({ server, workers }) => {
      const { url } =
        (await workers[0]?.line('HTTP intake listens: POST /v1/users, GET /v1/users/{id}, /openapi.json')) ??
        {};
      await server.kill();
      return () =>
        fetch(`${String(url)}/v1/users`, {
          method: 'POST',
          headers: { authorization: `Bearer ${INTAKE_TOKEN}`, 'content-type': 'application/json' },
          body: JSON.stringify({ userId: 'posted' }),
        });
    },
  },
  {
    name: 'Redis has used nine tenths of its memory',
    alert: 'ImsyncRedisMemory',
    begin: async ({ redis }) => {
      const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
      await redis.config('SET', 'maxmemory', Math.round(used / 0.9));
      return undefined;
    },
  },
  {
    name: 'all workers are killed',
    alert: 'ImsyncNoWorker',
    begin: async ({ workers }) => {
      for (const worker of workers) worker.signal('SIGKILL');
      return undefined;
    },
  },
  {
    name: 'the API refuses a user for good (70402)',
    alert: 'ImsyncDeadLetters',
    begin: async (fleet) => {
      fleet.simulator.setFaults({
        rules: [{ match: { userIds: ['bad0'] }, action: { accountCode: 70402 } }],
      });
      await fleet.addUsers(1, 'bad');
      return undefined;
    },
  },
  {
    name: 'every third call answers 70500',
    alert: 'ImsyncCallsFail',
    begin: everyCall({ errorCode: 70500 }, 0.33),
  },
];

const RUN_MS = 25 * 60_000;
const root = fileURLToPath(new URL('../..', import.meta.url));
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

interface Rule {
  readonly name: string;
  readonly state?: string;
  readonly labels?: { readonly severity?: string };
}

/** A Prometheus with the intervals and the rules of deploy/, which scrapes these workers. */
async function startPrometheus(targets: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'imsync-alert-times-'));
  const shipped = parse(readFileSync(join(root, 'deploy/prometheus/prometheus.yml'), 'utf8'));
  const config = {
    global: shipped.global,
    rule_files: [join(root, 'deploy/prometheus-alerts.yml')],
    scrape_configs: [{ job_name: 'imsync', static_configs: [{ targets }] }],
  };
  await writeFile(join(folder, 'prometheus.json'), JSON.stringify(config));
  const host = `127.0.0.1:${await freePort()}`;
  const args = [
    `--config.file=${folder}/prometheus.json`,
    `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=${host}`,
  ];
  const child = spawn('prometheus', args, { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const rules = async (): Promise<readonly Rule[]> => {
    const response = await fetch(`http://${host}/api/v1/rules`);
    const { data } = (await response.json()) as {
      data: { groups: readonly { readonly rules: readonly Rule[] }[] };
    };
    return data.groups.flatMap((group) => group.rules);
  };
  await eventually('Prometheus answers', async () => (await rules()).length > 0, 60_000);
  return {
    rules,
    async stop() {
      child.kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function urlOfOps(worker: Fleet['workers'][number]): Promise<string> {
  const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  return new URL(String(url)).host;
}

/** Causes one fault and waits for its alert. Resolves to a row of the table. */
async function play({
  name,
  alert,
  begin,
}: Fault): Promise<{ readonly row: string; readonly fired: boolean }> {
  const env = { IMSYNC_INTAKE_PORT: '0', IMSYNC_INTAKE_TOKENS: INTAKE_TOKEN };
  const fleet = await startFleet({ workers: 1, env });
  const prometheus = await startPrometheus(await Promise.all(fleet.workers.map(urlOfOps)));
  let signups = 0;
  let eachSecond: (() => unknown) | undefined;
  const timer = setInterval(() => {
    // Signups while Redis is away are refused; that is the fault, and nobody's error here.
    fleet.addUsers(3, `s${signups++}-`).catch(() => undefined);
    Promise.resolve(eachSecond?.()).catch(() => undefined);
  }, 1_000);
  try {
    // Two scrapes and an evaluation of a fleet that is well.
    await sleep(90_000);
    const early = (await prometheus.rules()).filter(
      ({ state }) => state !== undefined && state !== 'inactive',
    );
    const startedMs = performance.now();
    eachSecond = (await begin(fleet)) ?? undefined;
    say(`begun: ${name}`);
    const times = new Map<string, number>();
    const seconds = (): number => Math.round((performance.now() - startedMs) / 1_000);
    const firing: string[] = [];
    await eventually(
      alert,
      async () => {
        for (const { name: rule, state, labels } of await prometheus.rules()) {
          if (state === 'pending' && !times.has(`${rule} pending`)) times.set(`${rule} pending`, seconds());
          if (state !== 'firing' || times.has(rule)) continue;
          times.set(rule, seconds());
          firing.push(`${rule} (${labels?.severity}) ${seconds()} s`);
        }
        return times.has(alert);
      },
      RUN_MS,
      1_000,
    ).catch(() => undefined);
    const fired = times.get(alert);
    const others = firing.filter((one) => !one.startsWith(`${alert} `)).join(', ') || '–';
    const pending = times.get(`${alert} pending`);
    const row = `| ${name} | ${alert} | ${pending ?? '–'} | ${fired ?? 'NOT FIRED'} | ${others} |`;
    say(`${row}${early.length > 0 ? ` before the fault: ${early.map((rule) => rule.name).join()}` : ''}`);
    return { row, fired: fired !== undefined };
  } finally {
    clearInterval(timer);
    await prometheus.stop();
    await fleet.stop();
  }
}

const words = process.argv.slice(2);
const chosen = FAULTS.filter(
  ({ name, alert }) => words.length === 0 || words.some((word) => `${name} ${alert}`.includes(word)),
);
const results = await Promise.all(chosen.map(play));
say('\n| fault | alert | pending after, s | firing after, s | fired before it |\n|---|---|---|---|---|');
for (const { row } of results) say(row);
if (results.length === 0 || results.some(({ fired }) => !fired)) process.exitCode = 1;
