import { Agent, request } from 'node:http';
import { eventually } from '../../test/support/eventually.ts';
import type { ImsyncProcess } from '../../test/support/process.ts';
import type { Bench } from '../stage/bench.ts';
import { type CrowdUser, usersOf, wrongAccounts } from '../stage/crowd.ts';
import { createFigures } from '../stage/figures.ts';
import { LIFTED_ENV, LIFTED_SIMULATOR, onStage } from '../stage/stage.ts';

const LIST = 1_000;
const IN_FLIGHT = 2;
const TOKEN = 'bench-token-of-sixteen-bytes-and-more';

/** Users that come over HTTP; calls are paused, so that the worker does nothing else. */
export const intake: Bench = {
  name: 'intake',
  about: 'POST /v1/users with lists of 1,000, two at a time, until Redis has acknowledged them',
  runs: 2,
  run: (context) =>
    onStage(context, { env: LIFTED_ENV, simulate: LIFTED_SIMULATOR }, async (stage) => {
      const figures = createFigures();
      const worker = await stage.startWorker({ IMSYNC_INTAKE_PORT: '0', IMSYNC_INTAKE_TOKENS: TOKEN });
      const url = await intakeUrl(worker);
      const agent = new Agent({ keepAlive: true, noDelay: true });
      const problems: string[] = [];
      for (let run = 0; run <= context.runs; run++) {
        await stage.hold.pause('bench', Date.now());
        await stage.simulator.reset();
        const crowd = { prefix: `r${run}-`, count: context.quick ? 10_000 : 50_000 };
        const lists = listsOf(usersOf(crowd));
        const cpuBefore = stage.workerCpuMicros();
        const startedMs = performance.now();
        await Promise.all(
          Array.from({ length: IN_FLIGHT }, async () => {
            for (let list = lists.shift(); list !== undefined; list = lists.shift()) {
              const status = await post(url, agent, list);
              if (status !== 202) problems.push(`a list was answered ${status}`);
            }
          }),
        );
        const tookMs = performance.now() - startedMs;
        const cpuMicros = stage.workerCpuMicros() - cpuBefore;
        await stage.hold.resume();
        await stage.drained();
        problems.push(...wrongAccounts([crowd], await stage.simulator.accounts()));
        // The first run warms up.
        if (run === 0) continue;
        figures.add({ what: 'events acknowledged', unit: 'events/s' }, (crowd.count * 1000) / tookMs);
        figures.add({ what: 'worker CPU an event', unit: 'µs' }, cpuMicros / crowd.count);
      }
      agent.destroy();
      return { rows: figures.rows(), problems };
    }),
};

/** Where users are to be posted, by the worker's log. */
async function intakeUrl(worker: ImsyncProcess): Promise<string> {
  const line = await eventually('the HTTP intake', () =>
    worker.lines.find((one) => one.includes('HTTP intake listens')),
  );
  return new URL('/v1/users', (JSON.parse(line) as { url: string }).url).href;
}

function listsOf(users: readonly CrowdUser[]): string[] {
  const lists: string[] = [];
  for (let from = 0; from < users.length; from += LIST) {
    lists.push(JSON.stringify(users.slice(from, from + LIST)));
  }
  return lists;
}

function post(url: string, agent: Agent, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      Authorization: `Bearer ${TOKEN}`,
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
    };
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
