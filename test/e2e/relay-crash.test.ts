import { setTimeout as sleep } from 'node:timers/promises';
import { describeWithDatabases } from '../support/database-user.ts';
import {
  type AppDatabase,
  type OutboxStage,
  setOutboxStage,
  writeProfiles,
} from '../support/outbox-stage.ts';
import type { ImsyncProcess } from '../support/process.ts';

/**
 * Eight writers change profiles in transactions that end late. Meanwhile relays are killed, the database is killed
 * and comes back, and so does Redis. At the end the table of users says what must have reached Redis last.
 */
const USERS = 20;
let stage: OutboxStage;

afterEach(async () => {
  await stage?.end();
});

describeWithDatabases.each<AppDatabase['kind']>(['PostgreSQL', 'MariaDB'])('%s', (kind) => {
  test('nothing is lost, and the newest profile of each user is last, whatever is killed', async () => {
    stage = await setOutboxStage(kind);
    const { database, redis, app } = stage;
    for (let i = 0; i < USERS; i++) await app.query(`INSERT INTO users (id, nick) VALUES ('u${i}', 'none')`);
    const relays: ImsyncProcess[] = [await stage.relay(), await stage.relay()];
    const over = new AbortController();
    const writers = Array.from({ length: 8 }, (_, writer) =>
      writeProfiles(database, { users: USERS, writer, signal: over.signal }),
    );
    const replace = async (): Promise<void> => {
      // The two take turns, so that the one that works is hit as well.
      relays.shift()?.signal('SIGKILL');
      relays.push(await stage.relay());
      await sleep(100 + Math.random() * 300);
    };
    await replace();
    await replace();
    await redis.kill();
    await sleep(500);
    await redis.restart();
    await replace();
    await database.kill();
    await replace();
    await database.restart();
    await replace();
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
