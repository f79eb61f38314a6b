import { Queue } from 'bullmq';
import { eventually } from '../../support/eventually.ts';
import { parseMetrics } from '../../support/metrics.ts';
import type { Arena } from '../arena.ts';
import type { Row } from '../row.ts';

/** Jobs that BullMQ loses, fails or keeps from running: calls are put back, and somebody hears of it. */

const QUEUE = 'calls-multiaccount_import';

async function sumOf(arena: Arena, metric: string): Promise<number> {
  let sum = 0;
  for (const worker of arena.workers) {
    const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
    const metrics = parseMetrics(await (await fetch(`${url}/metrics`)).text());
    sum += Object.values(metrics.byLabel(metric, 'command')).reduce((all, one) => all + one, 0);
  }
  return sum;
}

const byHand: Row = {
  name: 'jobs-failed',
  promise:
    'jobs failed, completed, lost or put off for an hour by hand: their calls are put back within 15 s, and alarmed',
  short: true,
  arena: { workers: 2, eventsPerSecond: 100 },
  async run(arena) {
    const { redis, keys } = arena;
    const queue = new Queue(QUEUE, { connection: redis, prefix: keys.bullPrefix, skipVersionCheck: true });
    queue.on('error', () => undefined);
    const key = (name: string): string => `${keys.bullPrefix}:${QUEUE}:${name}`;
    // A fresh call has no job. Those that are made again have one, and take so long that some are under way.
    arena.faults({
      rules: [
        { match: { rate: 0.6 }, action: { errorCode: 70500 } },
        { action: { latencyMs: [1_000, 2_000] } },
      ],
    });
    await eventually('calls under way', async () => (await queue.getActiveCount()) >= 8, 60_000);
    for (const worker of arena.workers) worker.signal('SIGKILL');
    await Promise.all(arena.workers.map(({ ended }) => ended));
    arena.faults({});
    const active = await queue.getActive();
    for (const [i, job] of active.entries()) {
      const id = job.id ?? '';
      const token = (await redis.get(key(`${id}:lock`))) ?? '';
      if (i % 5 === 0) {
        // As BullMQ fails a job, and keeps it.
        job.opts.removeOnFail = false;
        await job.moveToFailed(new Error('failed by hand'), token, false);
      } else if (i % 5 === 1) {
        job.opts.removeOnComplete = false;
        await job.moveToCompleted('completed by hand', token, false);
      } else if (i % 5 === 2) await job.moveToDelayed(Date.now() + 3_600_000, token);
      else {
        await redis.lrem(key('active'), 0, id);
        // The job without a list, or nothing of it.
        if (i % 5 === 4) await redis.del(key(id), key(`${id}:lock`));
      }
    }
    arena.progress(`${active.length} jobs spoilt by hand`);
    const sinceMs = performance.now();
    await Promise.all(arena.workers.map(async (_, at) => (arena.workers[at] = await arena.worker())));
    await arena.takenOver();
    const ms = performance.now() - sinceMs;
    arena.took('again', ms, 15_000);
    arena.progress(`their calls ran again after ${(ms / 1000).toFixed(1)} s, start included`);
    const lines = arena.workers.flatMap((worker) => worker.lines);
    if (!lines.some((line) => line.includes('calls without a job were put back')))
      arena.problem('no line says that calls were put back');
    if ((await sumOf(arena, 'imsync_calls_put_back_total')) === 0)
      arena.problem('no metric counts calls put back');
    await queue.close();
  },
};

const throwing: Row = {
  name: 'jobs-throw',
  promise: 'a bug that breaks off every tenth settlement: its calls are kept and made again, and alarmed',
  arena: { workers: 0, eventsPerSecond: 60 },
  async run(arena) {
    const broken = arena.victim('settle:before', 10, 'THROW');
    await broken.line('worker started', 60_000);
    arena.workers.push(broken);
    await arena.sleep(arena.brief ? 8_000 : 20_000);
    if (
      !broken.lines.some((line) => line.includes('a call (it is kept and will be made again) met an error'))
    )
      arena.problem('no line says that a call broke off');
    const failed = await sumOf(arena, 'imsync_call_runs_failed_total');
    if (failed === 0) arena.problem('no metric counts calls that broke off');
    arena.note(`${failed} runs broke off`);
    broken.signal('SIGTERM');
    await broken.ended;
    arena.workers.splice(0, 1, await arena.worker());
    arena.took('again', await arena.takenOver(), 15_000);
  },
};

export const jobRows: readonly Row[] = [byHand, throwing];
