import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../test/support/eventually.ts';
import {
  type AppDatabase,
  type OutboxStage,
  rowsStatement,
  setOutboxStage,
} from '../../test/support/outbox-stage.ts';
import type { ImsyncProcess } from '../../test/support/process.ts';
import { processCpuMicros, processMemoryMb } from '../measure/process-cost.ts';
import { percentile } from '../measure/spread.ts';
import type { Target } from '../report/row.ts';
import type { Bench, BenchContext } from '../stage/bench.ts';
import { createFigures, type Figures } from '../stage/figures.ts';
import { costSince, eventCount, eventsOf, relayCost, statementsOf } from '../stage/outbox.ts';

const KINDS: readonly AppDatabase['kind'][] = ['PostgreSQL', 'MariaDB'];
const COMMITS_PER_SECOND = 50;
const WARM_UP_ROWS = 20_000;
const INSERT_ROWS = 500_000;

/** From rows of a database to events in Redis: one relay, with the database and Redis beside it. */
export const relay: Bench = {
  name: 'relay',
  about: 'rows of an outbox to Redis: a backlog, single commits, and rest',
  runs: 1,
  async run(context) {
    const figures = createFigures();
    const problems: string[] = [];
    for (let run = 0; run < context.runs; run++) {
      for (const kind of KINDS) {
        const stage = await setOutboxStage(kind);
        try {
          const own = await measureBacklog(stage, context, figures, problems);
          await measureCommits(stage, context, figures, problems);
          await measureRest(stage, own, context, figures);
        } finally {
          await stage.end();
        }
      }
    }
    return { rows: figures.rows(), problems };
  },
};

/**
 * Rows that wait before the relay starts, in order and each once. The relay that is measured goes on to serve: it is
 * the answer. Speed at the end is held against that at the start, since rows that are gone may be in the way.
 */
async function measureBacklog(
  stage: OutboxStage,
  context: BenchContext,
  figures: Figures,
  problems: string[],
): Promise<ImsyncProcess> {
  const { kind } = stage.database;
  const count = context.quick ? 100_000 : context.full ? 5_000_000 : 300_000;
  const env = { IMSYNC_RELAY_MAX_WAITING: '100000000', IMSYNC_OPS_PORT: '0' };
  // The table has had rows that are gone, as in service.
  const first = await stage.relay([], env);
  await stage.app.query(rowsStatement(kind, 0, WARM_UP_ROWS));
  await relayed(stage, WARM_UP_ROWS);
  await stage.emptied();
  first.signal('SIGTERM');
  await first.ended;
  for (let from = 0; from < count; from += INSERT_ROWS)
    await stage.app.query(rowsStatement(kind, WARM_UP_ROWS + from, Math.min(INSERT_ROWS, count - from)));
  const startedMs = Date.now();
  const own = await stage.relay([], env);
  await relayed(stage, WARM_UP_ROWS + WARM_UP_ROWS);
  const before = await relayCost(stage, own.pid);
  const done = (await eventCount(stage)) - WARM_UP_ROWS;
  const memory = watchMemory(own.pid);
  await relayed(stage, WARM_UP_ROWS + count);
  const cost = costSince(before, await relayCost(stage, own.pid));
  await stage.emptied();
  const mostMb = memory.stop();
  const times = await timesOf(stage, count, problems);
  const rateOf = (from: number, to: number): number =>
    ((to - from) * 1_000) / Math.max(1, (times[to - 1] ?? 0) - (times[from] ?? 0));
  const tenth = count / 10;
  const tenths = Array.from({ length: 10 }, (_, i) => Math.round(rateOf(i * tenth, (i + 1) * tenth)));
  context.say(`${kind}: rows/s by tenths of the backlog: ${tenths.join(' ')}`);
  const row = (what: string, unit: string, value: number, target?: Target): void =>
    figures.add({ what, who: kind, unit, ...(target && { target }) }, value);
  const per = (micros: number): number => micros / (count - done);
  row('waiting rows relayed', 'rows/s', rateOf(0, count), { atLeast: 10_000 });
  row('speed in the last tenth, of that in the first', '%', (100 * (tenths[9] ?? 0)) / (tenths[0] ?? 1));
  row('CPU a row, all three', 'µs', per(cost.relay + cost.database + cost.redis), { atMost: 150 });
  row('CPU a row of the relay', 'µs', per(cost.relay));
  row('CPU a row of the database', 'µs', per(cost.database));
  row('CPU a row of Redis', 'µs', per(cost.redis));
  row('start of the relay to the first event', 'ms', (times[0] ?? 0) - startedMs);
  row('memory of the relay, at most', 'MB', mostMb);
  return own;
}

/** When the events of the backlog came. They must be those of all rows, in their order. */
async function timesOf(stage: OutboxStage, count: number, problems: string[]): Promise<number[]> {
  const { kind } = stage.database;
  const times: number[] = [];
  let at = 0;
  for await (const { atMs, userId } of eventsOf(stage)) {
    at++;
    if (userId !== `user-${at}`) problems.push(`${kind}: event ${at} is of ${userId}`);
    if (at > WARM_UP_ROWS) times.push(atMs);
    if (problems.length > 5) break;
  }
  if (times.length !== count) problems.push(`${kind}: ${times.length} events of ${count} rows`);
  return times;
}

function watchMemory(pid: number): { stop(): number } {
  let mostMb = 0;
  const timer = setInterval(() => {
    mostMb = Math.max(mostMb, processMemoryMb(pid));
  }, 200);
  return {
    stop() {
      clearInterval(timer);
      return Math.max(mostMb, processMemoryMb(pid));
    },
  };
}

/** Single commits at an even pace: from the moment at which the app knows of its commit to the event in Redis. */
async function measureCommits(
  stage: OutboxStage,
  { quick, say }: BenchContext,
  figures: Figures,
  problems: string[],
): Promise<void> {
  const { kind } = stage.database;
  const count = (quick ? 5 : 20) * COMMITS_PER_SECOND;
  const before = await eventCount(stage);
  const committedAtMs = new Map<string, number>();
  const startedMs = performance.now();
  for (let i = 0; i < count; i++) {
    await sleep(Math.max(0, startedMs + (i * 1_000) / COMMITS_PER_SECOND - performance.now()));
    await stage.app.query(`INSERT INTO imsync_outbox (user_id, nick) VALUES ('single-${i}', 'Nick')`);
    committedAtMs.set(`single-${i}`, Date.now());
  }
  await relayed(stage, before + count);
  const waits: number[] = [];
  for await (const { atMs, userId } of eventsOf(stage)) {
    const committed = committedAtMs.get(userId);
    // Redis may have it before the app's own answer has arrived.
    if (committed !== undefined) waits.push(Math.max(0, atMs - committed));
    committedAtMs.delete(userId);
  }
  if (waits.length !== count) problems.push(`${kind}: ${waits.length} events of ${count} commits`);
  const [middle, late] = [percentile(waits, 0.5), percentile(waits, 0.99)];
  const rate = `${COMMITS_PER_SECOND} commits/s`;
  const target = kind === 'PostgreSQL' ? { target: { atMost: 20 } } : {};
  figures.add({ what: `commit to Redis, p50, ${rate}`, who: kind, unit: 'ms', ...target }, middle);
  figures.add({ what: `commit to Redis, p99, ${rate}`, who: kind, unit: 'ms' }, late);
  say(`${kind}: commit to Redis at ${rate}: p50 ${middle} ms, p99 ${late} ms`);
}

async function measureRest(
  stage: OutboxStage,
  own: ImsyncProcess,
  { quick, say }: BenchContext,
  figures: Figures,
): Promise<void> {
  const { kind } = stage.database;
  if (kind === 'PostgreSQL') {
    // Its own cleaning after the backlog counts as transactions, too.
    await stage.app.query('ALTER SYSTEM SET autovacuum = off');
    await stage.app.query('SELECT pg_reload_conf()');
  }
  // A session of PostgreSQL that rests adds what it did before to the counters up to 10 s later.
  await sleep(12_000);
  const cpuBefore = processCpuMicros(own.pid);
  const statementsBefore = await statementsOf(stage);
  const startedMs = performance.now();
  await sleep(quick ? 5_000 : 20_000);
  const seconds = (performance.now() - startedMs) / 1_000;
  const core = (processCpuMicros(own.pid) - cpuBefore) / (1e4 * seconds);
  const statements = (await statementsOf(stage)) - statementsBefore;
  figures.add({ what: 'CPU at rest', who: kind, unit: '% of a core', target: { atMost: 1 } }, core);
  const target = kind === 'PostgreSQL' ? { target: { atMost: 2 } } : {};
  figures.add(
    { what: 'statements at rest, all of the server', who: kind, unit: 'a second', ...target },
    statements / seconds,
  );
  say(`${kind}: at rest ${core.toFixed(2)} % of a core, ${(statements / seconds).toFixed(2)} statements/s`);
}

function relayed(stage: OutboxStage, count: number): Promise<unknown> {
  return eventually(`${count} events in Redis`, async () => (await eventCount(stage)) >= count, 900_000, 100);
}
