import type { RelayMetrics } from '../relay/metrics.ts';
import type { AsideRow } from '../relay/outbox.ts';
import type { RelayObstacle, RelayReport } from '../relay/relay.ts';
import { atMostEvery } from './line-limit.ts';
import type { Logger } from './log.ts';

const REPEAT_AFTER_MS = 10_000;
/** While rows flow, how many is said this often. */
const SUM_EVERY_MS = 10_000;

const OBSTACLES: Readonly<Record<RelayObstacle, string>> = {
  intake: 'as many events wait in Redis as IMSYNC_RELAY_MAX_WAITING allows: rows wait in the database',
  memory: 'Redis is nearly full: rows wait in the database',
};

/**
 * Logs and counts what a relay does: each change once, rows by their number, and no user except at debug.
 * `oldest` is kept up to date by `tick`, also while nothing moves.
 */
export function createRelayReport(
  log: Logger,
  metrics: RelayMetrics,
): { readonly report: RelayReport; tick(): void } {
  const sumLine = atMostEvery(SUM_EVERY_MS);
  let database: 'unknown' | 'reached' | 'lost' = 'unknown';
  let lostBy = '';
  let leads: boolean | undefined;
  let obstacle: RelayObstacle | undefined;
  let unsaidRows = 0;
  let oldest = { ageMs: 0, atMs: performance.now() };
  const report: RelayReport = {
    database(state, words) {
      metrics.database.set(state === 'reached' ? 1 : 0);
      if (state === 'reached' && database !== 'reached') {
        log.info(
          { database: words },
          database === 'lost' ? 'the database is back' : 'the database is reached',
        );
      }
      if (state === 'lost') {
        metrics.leads.set(0);
        leads = undefined;
        if (database !== 'lost' || words !== lostBy)
          log.error({ reason: words }, 'the database cannot be used; waiting for it. Rows stay there');
        lostBy = words;
      }
      database = state;
    },
    leads(does) {
      metrics.leads.set(does ? 1 : 0);
      // Another one knows now how long rows wait: what this one saw last would grow for ever.
      if (!does) report.lag(0, 0);
      if (does !== leads)
        log.info(does ? 'the relay works' : 'the relay stands by: another one of this table works');
      leads = does;
    },
    relayed(latenciesMs) {
      metrics.count('relayed', latenciesMs.length);
      for (const ms of latenciesMs) metrics.latency(ms);
      unsaidRows += latenciesMs.length;
      sumLine(() => {
        log.info({ rows: unsaidRows, latencyMs: Math.round(latenciesMs.at(-1) ?? 0) }, 'rows relayed');
        unsaidRows = 0;
      });
    },
    aside: createAsideReport(log, metrics),
    repeated(rows) {
      metrics.count('repeated', rows);
      log.warn(
        { rows },
        'rows came back that were done: the database was restored, or failed over to a replica that lagged. They are relayed again, in order',
      );
    },
    setBack(setBack) {
      metrics.count('undone', setBack.rows);
      log.error(
        setBack,
        'the database went back to an earlier state: it gives numbers of relayed rows once more. Rows that were committed and not relayed before are lost there, with their users',
      );
    },
    lag(waitingRows, oldestAgeMs) {
      metrics.waiting.set(waitingRows);
      oldest = { ageMs: oldestAgeMs, atMs: performance.now() };
      metrics.oldest.set(oldestAgeMs / 1_000);
    },
    obstacle(now) {
      if (now === obstacle) return;
      obstacle = now;
      if (now === undefined) log.info('rows go on');
      else log.warn({ obstacle: now }, OBSTACLES[now]);
    },
  };
  return {
    report,
    tick() {
      if (oldest.ageMs > 0) metrics.oldest.set((oldest.ageMs + performance.now() - oldest.atMs) / 1_000);
    },
  };
}

function createAsideReport(log: Logger, metrics: RelayMetrics): RelayReport['aside'] {
  const asideLine = atMostEvery(REPEAT_AFTER_MS);
  return (rows) => {
    metrics.count('aside', rows.length);
    const reasons = [...new Set(rows.map(({ reason }: AsideRow) => reason.slice(0, 200)))].slice(0, 3);
    asideLine((unsaid) =>
      log.warn(
        { rows: rows.length, reasons, ...(unsaid > 0 && { unsaid }) },
        'rows cannot be events: they are kept in the archive table with their reason',
      ),
    );
    if (log.isLevelEnabled('debug')) for (const row of rows) log.debug(row, 'row moved aside');
  };
}
