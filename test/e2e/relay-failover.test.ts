import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { describeWithDatabases } from '../support/database-user.ts';
import { eventually } from '../support/eventually.ts';
import { eventsFrom, type OutboxStage, setOutboxStage } from '../support/outbox-stage.ts';
import { startStandby, type TestPostgres } from '../support/postgres-server.ts';
import { linesOf } from '../support/stage.ts';

/** A PostgreSQL with a streaming standby that lags, and is promoted: it lacks rows, and has others once more. */

let stage: OutboxStage;
let standby: TestPostgres;
let folder: string;

afterEach(async () => {
  await stage?.end();
  await standby?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function counted(server: { connect(): Promise<pg.Client> }): Promise<number> {
  const client = await server.connect();
  const { rows } = await client.query<{ count: number }>('SELECT count(*)::int FROM imsync_outbox');
  await client.end();
  return rows[0]?.count ?? 0;
}

const insert = (prefix: string, count: number): string =>
  `INSERT INTO imsync_outbox (user_id) SELECT '${prefix}-' || n FROM generate_series(1, ${count}) n`;

describeWithDatabases('failover to a replica that lagged', () => {
  // A relay that comes first sees it by the counter; one that comes later, by numbers of other rows.
  test.each(['relay', 'app'])(
    'no row is overlooked, relayed ones come again, and what went back is told; first comes the %s',
    async (first) => {
      folder = await mkdtemp(join(tmpdir(), 'imsync-failover-'));
      stage = await setOutboxStage('PostgreSQL');
      const { database, app } = stage;
      standby = await startStandby(database.url);
      const address = join(folder, 'database');
      await writeFile(address, database.url);
      const relay = await stage.relay([], { IMSYNC_DATABASE_URL: '', IMSYNC_DATABASE_URL_FILE: address });
      await relay.line('the relay works');
      await app.query(insert('before', 10));
      await eventsFrom(stage, 10);
      await stage.emptied();

      // The standby has these rows, and never hears that they are done.
      relay.signal('SIGSTOP');
      await app.query(insert('again', 3));
      await eventually('the standby has the rows', async () => (await counted(standby)) === 3);
      await standby.kill();
      relay.signal('SIGCONT');
      await eventsFrom(stage, 13);
      // More than PostgreSQL reserves of a sequence ahead, so that their numbers are given once more.
      await app.query(insert('undone', 100));
      await eventsFrom(stage, 113);
      await stage.emptied();

      await database.kill();
      await standby.restart();
      const promoted = await standby.connect();
      await promoted.query('SELECT pg_promote()');
      if (first === 'app') await promoted.query(insert('new', 100));
      await writeFile(address, standby.url);
      await eventsFrom(stage, 116);
      if (first === 'relay') await promoted.query(insert('new', 100));
      await promoted.end();
      const users = (await eventsFrom(stage, 216)).map(({ userId }) => userId);
      await eventually('the new primary has no rows', async () => (await counted(standby)) === 0);
      expect(users.slice(113, 116)).toEqual(['again-1', 'again-2', 'again-3']);
      expect(users.slice(116)).toEqual(Array.from({ length: 100 }, (_, i) => `new-${i + 1}`));
      expect(users).toHaveLength(216);

      // Numbers that are used once more are no rows that came back.
      const lines = linesOf(relay, 'rows came back');
      expect(lines.map(({ rows }) => rows)).toEqual([3]);
      const [told, ...more] = linesOf(relay, 'the database went back');
      expect(told).toMatchObject({ level: 'error', ...(first === 'relay' && { relayed: '113' }) });
      expect(more).toEqual([]);
      const { rows } = told as { rows: number };
      expect([rows > 60, rows <= 100]).toEqual([true, true]);
      expect((await stage.verb(['status'])).stdout).toContain(
        `${rows} numbers of relayed rows are used again`,
      );
    },
    120_000,
  );
});
