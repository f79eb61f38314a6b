import { keysOf } from '../../src/redis/keys.ts';
import { describeWithDatabases } from '../support/database-user.ts';
import { eventually } from '../support/eventually.ts';
import {
  type AppDatabase,
  type OutboxStage,
  setOutboxStage,
  writeProfiles,
} from '../support/outbox-stage.ts';
import type { ImsyncProcess } from '../support/process.ts';
import { TEST_APP } from '../support/simulator.ts';

/**
 * Eight writers change profiles in transactions that end late. Meanwhile relays are killed, the database is killed
 * and comes back, and so does Redis. At the end the table of users says what must have reached Redis last.
 */
const USERS = 20;
const keys = keysOf(TEST_APP.sdkAppId);
let stage: OutboxStage;

afterEach(async () => {
  await stage?.end();
});

describeWithDatabases.each<AppDatabase['kind']>(['PostgreSQL', 'MariaDB'])('%s', (kind) => {
  test('nothing is lost, and the newest profile of each user is last, whatever is killed', async () => {
    stage = await setOutboxStage(kind);
    const { database, redis, app, client } = stage;
    for (let i = 0; i < USERS; i++) await app.query(`INSERT INTO users (id, nick) VALUES ('u${i}', 'none')`);
    const relays: ImsyncProcess[] = [await stage.relay(), await stage.relay()];
    const over = new AbortController();
    const writers = Array.from({ length: 8 }, (_, writer) =>
      writeProfiles(database, { users: USERS, writer, signal: over.signal }),
    );
    /** Rows go on to reach Redis: the relay that works is in the middle of it. */
    const flows = async (): Promise<void> => {
      const before = await client.xlen(keys.stream);
      await eventually('rows flow', async () => (await client.xlen(keys.stream)) >= before + 20, 60_000);
    };
    const replace = async (): Promise<void> => {
      // The two take turns, so that the one that works is hit as well.
      relays.shift()?.signal('SIGKILL');
      relays.push(await stage.relay());
    };
    await flows();
    await replace();
    await flows();
    await replace();
    await flows();
    await redis.kill();
    await eventually('rows wait', async () => {
      const rows = await app.query('SELECT id FROM imsync_outbox LIMIT 20');
      return rows.length === 20;
    });
    await redis.restart();
    await flows();
    await replace();
    await flows();
    await database.kill();
    await replace();
    await relays.at(-1)?.line('the database cannot be used; waiting for it. Rows stay there');
    await database.restart();
    await flows();
    await replace();
    await flows();
    over.abort();
    const written = (await Promise.all(writers)).reduce((sum, one) => sum + one, 0);
    expect(written).toBeGreaterThan(100);
    await stage.emptied(60_000);

    const own = await database.connect();
    const users = await own.query('SELECT id, nick FROM users ORDER BY id');
    await own.end();
    const last = new Map((await stage.events()).map(({ userId, nick }) => [userId, nick]));
    const changed = users.filter(({ nick }) => nick !== 'none');
    expect(changed.length).toBeGreaterThan(USERS / 2);
    expect(changed.map(({ id }) => [id, last.get(String(id))])).toEqual(
      changed.map(({ id, nick }) => [id, nick]),
    );
  }, 120_000);
});
