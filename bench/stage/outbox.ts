import { keysOf } from '../../src/redis/keys.ts';
import type { OutboxStage } from '../../test/support/outbox-stage.ts';
import { TEST_APP } from '../../test/support/simulator.ts';
import { familyCpuMicros, processCpuMicros } from '../measure/process-cost.ts';
import { parseServerCost } from '../measure/server-info.ts';

/** What the three that share the work have taken so far, in µs of CPU. */
export interface RelayCost {
  readonly relay: number;
  readonly database: number;
  readonly redis: number;
}

export async function relayCost(stage: OutboxStage, relayPid: number): Promise<RelayCost> {
  return {
    relay: processCpuMicros(relayPid),
    database: familyCpuMicros(stage.database.pid()),
    redis: parseServerCost(await stage.client.info('all')).cpuMicros,
  };
}

export function costSince(before: RelayCost, after: RelayCost): RelayCost {
  return {
    relay: after.relay - before.relay,
    database: after.database - before.database,
    redis: after.redis - before.redis,
  };
}

const STREAM = keysOf(TEST_APP.sdkAppId).stream;
const PAGE = 10_000;

/** The events of the stream as they came, with the time of each on Redis's clock, ms since 1970. */
export async function* eventsOf(stage: OutboxStage): AsyncGenerator<{
  readonly atMs: number;
  readonly userId: string;
}> {
  let after = '-';
  for (;;) {
    const page = await stage.client.xrange(STREAM, after, '+', 'COUNT', PAGE);
    for (const [id, [, userId = '']] of page) yield { atMs: Number(id.split('-')[0]), userId };
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = `(${last[0]}`;
  }
}

export function eventCount(stage: OutboxStage): Promise<number> {
  return stage.client.xlen(STREAM);
}

/** Statements and transactions that the whole server has run so far. */
export async function statementsOf(stage: OutboxStage): Promise<number> {
  const rows = await stage.app.query(
    stage.database.kind === 'PostgreSQL'
      ? 'SELECT sum(xact_commit + xact_rollback) AS count FROM pg_stat_database'
      : "SELECT VARIABLE_VALUE AS count FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'QUESTIONS'",
  );
  return Number(rows[0]?.count);
}
