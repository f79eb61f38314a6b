import { keysOf } from '../../../src/redis/keys.ts';
import { eventually } from '../eventually.ts';
import { type AppConnection, type AppDatabase, startDatabase } from '../outbox-stage.ts';
import { fencesOf, readPage } from '../pages.ts';
import { type ImsyncProcess, imsync } from '../process.ts';
import { TEST_APP } from '../simulator.ts';
import { drained } from '../stage.ts';
import type { Scene, Scenery } from './scene.ts';

const keys = keysOf(TEST_APP.sdkAppId);
const OLD = "now() - interval '5 h'";
const started: ImsyncProcess[] = [];
let database: AppDatabase | undefined;
let app: AppConnection;

/** To be called after the last scene. */
export async function endDatabase(): Promise<void> {
  await app?.end();
  await database?.stop();
}

/** An empty outbox, and a table of users. One database serves all scenes. */
async function prepare(set: Scenery): Promise<void> {
  if (database === undefined) {
    database = await startDatabase('PostgreSQL');
    app = await database.connect();
  }
  await app.query('DROP TABLE IF EXISTS imsync_outbox, imsync_outbox_archive, users');
  await app.query('CREATE TABLE users (id text PRIMARY KEY)');
  set.env.IMSYNC_DATABASE_URL = database.url;
  expect(await set.run('imsync relay init --apply')).toMatchObject({ code: 0 });
}

function start(set: Scenery, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const own = imsync(args, { ...set.env, IMSYNC_OPS_PORT: '0', ...env });
  started.push(own);
  return own;
}

async function relay(set: Scenery, env: Readonly<Record<string, string>> = {}): Promise<ImsyncProcess> {
  const own = start(set, ['relay'], env);
  await own.line('the relay works');
  return own;
}

async function endProcesses(): Promise<void> {
  for (const own of started.splice(0)) {
    own.signal('SIGTERM');
    await own.ended;
  }
}

const inStream = (set: Scenery, count: number) =>
  eventually(`${count} events`, async () => (await set.stage.client.xlen(keys.stream)) === count);

/** Entries about the database. */
export const relayScenes: Readonly<Record<string, Scene>> = {
  ImsyncRelayStopped: {
    cause: async (set) => {
      await prepare(set);
      const lost = start(set, ['relay'], { IMSYNC_DATABASE_URL: 'postgres://127.0.0.1:1/app' });
      const { url } = await lost.line('ops server listens: /livez, /readyz, /status, /metrics');
      await lost.line('the database cannot be used; waiting for it. Rows stay there');
      const ready = await eventually('it has started', async () => {
        const text = await (await fetch(`${url}/readyz`)).text();
        return text.includes('is starting') ? undefined : text;
      });
      expect(ready).toContain('"The database cannot be used at present:');
      const own = await relay(set);
      await app.query("INSERT INTO imsync_outbox (user_id) VALUES ('a')");
      await inStream(set, 1);
      own.signal('SIGKILL');
      await own.ended;
      await app.query(`INSERT INTO imsync_outbox (user_id, created_at) VALUES ('b', ${OLD})`);
      // A minute later.
      const state = JSON.parse((await set.stage.client.hget(keys.relay, 'state')) ?? '');
      await set.stage.client.hset(
        keys.relay,
        'state',
        JSON.stringify({ ...state, lastSeen: state.lastSeen - 60_000 }),
      );
    },
    commands: {
      'imsync status': { shows: [/^relay +none works since \S+: rows wait in the database/m] },
      'imsync doctor': {
        code: 1,
        shows: [/^✗ No relay works, and the oldest row of imsync_outbox has waited 5 h$/m],
      },
    },
    async mend(set) {
      await relay(set);
      await inStream(set, 2);
      await eventually('status says so', async () =>
        /^relay +\S+ brings rows from PostgreSQL \S+; 0 wait/m.test((await set.run('imsync status')).output),
      );
      await endProcesses();
    },
  },
  ImsyncRelayRowsWait: {
    cause: async (set) => {
      await prepare(set);
      const own = await relay(set, { IMSYNC_RELAY_MAX_WAITING: '3' });
      await app.query("INSERT INTO imsync_outbox (user_id) VALUES ('a'), ('b'), ('c'), ('d')");
      await inStream(set, 4);
      await own.line(
        'as many events wait in Redis as IMSYNC_RELAY_MAX_WAITING allows: rows wait in the database',
      );
      await app.query(`INSERT INTO imsync_outbox (user_id, created_at) VALUES ('e', ${OLD})`);
    },
    commands: {
      'imsync status': { shows: [/^waiting +4,/m, /^relay +\S+ brings rows from PostgreSQL /m] },
      'imsync doctor': {
        code: 1,
        shows: [/^✗ A relay works, but the oldest row of imsync_outbox has waited 5 h$/m],
      },
    },
    async mend(set) {
      await set.worker();
      await eventually('all have accounts', () => set.stage.simulator.accounts.size === 5);
      expect((await set.run('imsync doctor')).output).toMatch(/✓ A relay works, and no row of imsync_outbox/);
      await endProcesses();
    },
  },
  ImsyncRelayRowsAside: {
    cause: async (set) => {
      await prepare(set);
      const own = await relay(set);
      await app.query("INSERT INTO imsync_outbox (user_id) VALUES ('has blank')");
      await own.line('rows cannot be events: they are kept in the archive table with their reason');
    },
    commands: {
      'imsync doctor': {
        code: 1,
        shows: [
          /^✗ 1 rows in imsync_outbox_archive could not be events; the newest: .*printable ASCII/m,
          /^ +→ Mend them there and put them back/m,
        ],
      },
    },
    async mend(set) {
      // As the entry of docs/outbox.md says.
      await app.query("UPDATE imsync_outbox_archive SET user_id = 'mended'");
      const [row] = await app.query('SELECT id FROM imsync_outbox_archive');
      const [block] = fencesOf(readPage('docs/outbox.md').text).filter(({ language }) => language === 'sql');
      await app.query((block?.code ?? '').replaceAll('id = 7', `id = ${row?.id}`));
      await inStream(set, 1);
      expect((await set.run('imsync doctor')).output).not.toMatch(/could not be events/);
      await endProcesses();
    },
  },
  ImsyncReconcileMissing: {
    cause: async (set) => {
      await prepare(set);
      await set.worker();
      await app.query("INSERT INTO users VALUES ('a'), ('b'), ('c')");
      await set.stage.push({ userId: 'a' });
      await drained(set.stage);
      expect(await set.run('imsync reconcile --table users --grace 0')).toMatchObject({ code: 1 });
    },
    commands: {
      'imsync status': { shows: [/^reconcile +3 users compared until \S+: 2 without an account$/m] },
      'imsync reconcile --table users --enqueue-missing': { shows: [/^missing +2 +2 of them added/m] },
    },
    async mend(set) {
      await eventually('all have accounts', () => set.stage.simulator.accounts.size === 3);
      expect(await set.run('imsync reconcile --table users --grace 0')).toMatchObject({ code: 0 });
      expect((await set.run('imsync status')).output).toMatch(/^reconcile .* 0 without an account$/m);
    },
  },
  ImsyncReconcileLate: {
    cause: async (set) => {
      await prepare(set);
      await set.worker();
      const due = { identity: 'of a schedule', at: Date.now() - 7 * 3_600_000 };
      await set.stage.client.hset(keys.reconcile, 'due', JSON.stringify(due));
    },
    commands: {
      'imsync status': { shows: [/^reconcile +a run was due at \S+ and has not ended/m] },
      'imsync doctor': { shows: [/^✓ PostgreSQL \S+ answers at /m] },
    },
    async mend(set) {
      start(set, ['reconcile', '--table', 'users', '--every', '24h', '--grace', '0']);
      await eventually('it has ended', async () =>
        /^reconcile +0 users compared[^\n]*\n(?!reconcile)/m.test((await set.run('imsync status')).output),
      );
      await endProcesses();
    },
  },
};
