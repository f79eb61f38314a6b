import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from './eventually.ts';
import { startMariadb } from './mariadb-server.ts';
import { startPostgres } from './postgres-server.ts';
import { type ImsyncProcess, imsync, imsyncRun } from './process.ts';
import { startRedis, type TestRedis } from './redis-server.ts';
import { TEST_APP } from './simulator.ts';
import { endAll, workerEnv } from './stage.ts';

/** A row by the names of its columns; numbers of 64 bits are texts. */
export type Cells = Readonly<Record<string, unknown>>;

/** One connection, as an app has it. */
export interface AppConnection {
  query(sql: string): Promise<Cells[]>;
  end(): Promise<void>;
}

/** A database of either kind. */
export interface AppDatabase {
  readonly kind: 'PostgreSQL' | 'MariaDB';
  readonly url: string;
  /** Of the server's first process. */
  readonly pid: () => number;
  connect(): Promise<AppConnection>;
  /** kill -9. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startDatabase(kind: AppDatabase['kind']): Promise<AppDatabase> {
  if (kind === 'PostgreSQL') {
    const { url, pid, connect, kill, restart, stop } = await startPostgres();
    return {
      ...{ kind, url, pid, kill, restart, stop },
      async connect() {
        const client = await connect();
        return { query: async (sql) => (await client.query<Cells>(sql)).rows ?? [], end: () => client.end() };
      },
    };
  }
  const { url, pid, connect, kill, restart, stop } = await startMariadb();
  return {
    ...{ kind, url, pid, kill, restart, stop },
    async connect() {
      const client = await connect();
      return {
        async query(sql) {
          const [rows] = await client.query(sql);
          return Array.isArray(rows) ? (rows as Cells[]) : [];
        },
        end: () => client.end(),
      };
    },
  };
}

/** A database with an outbox and a table of users, a Redis, and the relays of a test. */
export interface OutboxStage {
  readonly database: AppDatabase;
  readonly redis: TestRedis;
  /** A connection of the test's own. */
  readonly client: Redis;
  readonly app: AppConnection;
  readonly env: Readonly<Record<string, string>>;
  /** Starts a relay; resolves when it has its first word with the database. */
  relay(args?: readonly string[], env?: Readonly<Record<string, string>>): Promise<ImsyncProcess>;
  verb(args: readonly string[], env?: Readonly<Record<string, string>>): ReturnType<typeof imsyncRun>;
  /** The events in the stream, oldest first. */
  events(): Promise<Record<string, string>[]>;
  /** Waits until no row waits, and none is in a transaction. */
  emptied(timeoutMs?: number): Promise<void>;
  end(): Promise<void>;
}

const STREAM = keysOf(TEST_APP.sdkAppId).stream;

export async function setOutboxStage(kind: AppDatabase['kind']): Promise<OutboxStage> {
  const [database, redis] = await Promise.all([startDatabase(kind), startRedis()]);
  const client = new Redis(redis.url, { maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  const env = { ...workerEnv(redis.url, 'http://127.0.0.1:1'), IMSYNC_DATABASE_URL: database.url };
  const { code, stderr } = await imsyncRun(['relay', 'init', '--apply'], env);
  if (code !== 0) throw new Error(`init failed: ${stderr}`);
  const app = await database.connect();
  await app.query(
    'CREATE TABLE users (id varchar(32) PRIMARY KEY, nick varchar(200), updated_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))',
  );
  const relays: ImsyncProcess[] = [];
  return {
    ...{ database, redis, client, app, env },
    async relay(args = [], more = {}) {
      const relay = imsync(['relay', ...args], { ...env, ...more });
      relays.push(relay);
      await relay.line('relay started');
      return relay;
    },
    verb: (args, more = {}) => imsyncRun(args, { ...env, ...more }),
    async events() {
      const entries = await client.xrange(STREAM, '-', '+');
      return entries.map(([, fields]) =>
        Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1] ?? '']] : []))),
      );
    },
    emptied: (timeoutMs = 30_000) =>
      eventually(
        'the outbox is empty',
        async () => {
          const own = await database.connect();
          const rows = await own.query('SELECT id FROM imsync_outbox LIMIT 1');
          await own.end();
          return rows.length === 0;
        },
        timeoutMs,
        100,
      ).then(() => undefined),
    async end() {
      await endAll(relays);
      await app.end().catch(() => undefined);
      client.disconnect();
      await Promise.all([database.stop(), redis.stop()]);
    },
  };
}

/** Waits until the stream has this many events, and gives them. */
export function eventsFrom(stage: OutboxStage, count: number): Promise<Record<string, string>[]> {
  return eventually(`${count} events`, async () => {
    const events = await stage.events();
    return events.length >= count ? events : undefined;
  });
}

/**
 * Writes as an app does: each transaction changes the profile of a user, waits a little, and writes the row of
 * the outbox. Some roll back. A connection that dies is made anew, as an app's pool does. Resolves when
 * `signal` is aborted.
 */
export async function writeProfiles(
  database: AppDatabase,
  {
    users,
    writer,
    signal,
  }: { readonly users: number; readonly writer: number; readonly signal: AbortSignal },
): Promise<number> {
  let connection: AppConnection | undefined;
  let written = 0;
  for (let round = 0; !signal.aborted; round++) {
    const [id, nick] = [`u${(round * 7 + writer) % users}`, `w${writer}r${round}`];
    try {
      connection ??= await database.connect();
      await connection.query('BEGIN');
      await connection.query(`UPDATE users SET nick = '${nick}' WHERE id = '${id}'`);
      await sleep(Math.random() * 4);
      await connection.query(`INSERT INTO imsync_outbox (user_id, nick) VALUES ('${id}', '${nick}')`);
      await sleep(Math.random() * 4);
      await connection.query(round % 9 === 8 ? 'ROLLBACK' : 'COMMIT');
      written++;
    } catch {
      // Deadlocks, serialization failures and dead servers: what is committed stands in the table of users.
      await connection?.end().catch(() => undefined);
      connection = undefined;
      await sleep(50);
    }
  }
  await connection?.end();
  return written;
}

/** The statement that makes `count` rows with a nick and a picture, numbered from `from` on. */
export function rowsStatement(kind: AppDatabase['kind'], from: number, count: number): string {
  const [first, last] = [from + 1, from + count];
  const insert = 'INSERT INTO imsync_outbox (user_id, nick, face_url) SELECT';
  const picture = 'https://cdn.example.com/avatars/';
  return kind === 'PostgreSQL'
    ? `${insert} 'user-' || n, 'Nick ' || n, '${picture}' || n || '.png' FROM generate_series(${first}, ${last}) n`
    : `${insert} CONCAT('user-', seq), CONCAT('Nick ', seq), CONCAT('${picture}', seq, '.png') FROM seq_${first}_to_${last} ORDER BY seq`;
}
