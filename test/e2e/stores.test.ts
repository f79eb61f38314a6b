import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserCreatedProducer } from '../../src/producer/producer.ts';
import { closeRedis, openRedis } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { audit } from '../support/audit.ts';
import { clusterRights, refusals, setDocumentedUsers } from '../support/documented-users.ts';
import { eventually } from '../support/eventually.ts';
import type { ImsyncProcess } from '../support/process.ts';
import { startCluster } from '../support/redis-cluster.ts';
import { startSentinels } from '../support/redis-sentinel.ts';
import { TEST_APP } from '../support/simulator.ts';
import { drained, type Stage, setStageOn, type TestStore } from '../support/stage.ts';
import { says, startWebhook } from '../support/webhook.ts';

/** The whole way of an event, and the verbs, where Redis is not one server. */

const keys = keysOf(TEST_APP.sdkAppId);
type StoreStage = Omit<Stage, 'redis'>;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-stores-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const PASSWORD = 'p-51c07e';
/** What runs is the user that docs/security.md lists, and no more. */
const guarded = {
  IMSYNC_REDIS_URL: 'redis://imsync@127.0.0.1:6379',
  IMSYNC_REDIS_PASSWORD: PASSWORD,
};

async function wholeWay(stage: StoreStage, store: TestStore): Promise<void> {
  const producer = new UserCreatedProducer({ sdkAppId: TEST_APP.sdkAppId, redis: store.settings });
  const users = Array.from({ length: 300 }, (_, i) => ({ userId: `u${i % 200}`, nick: `N${i}` }));
  const accepted = await producer.addMany(users);
  await producer.close();
  expect(accepted.filter(({ ok }) => !ok)).toEqual([]);
  await stage.push({ userId: 'bad' });
  await drained(stage);
  expect(stage.simulator.accounts.size).toBe(200);
  const pushed = await stage.verb(['push', '--user-id', 'by-verb']);
  expect([pushed.code, pushed.stderr]).toEqual([0, '']);
  await drained(stage);
  const status = await stage.verb(['status', '--json']);
  expect([status.code, status.stderr]).toEqual([0, '']);
  expect(JSON.parse(status.stdout)).toMatchObject({
    totals: { accepted: 302, deadLettered: 1 },
    workers: [{}],
  });
  expect((await stage.verb(['pause'])).code).toBe(0);
  expect((await stage.verb(['resume'])).code).toBe(0);
  const list = await stage.verb(['dlq', 'list', '--json']);
  expect(JSON.parse(list.stdout)).toMatchObject({ userId: 'bad', errorCode: 70402 });
  stage.simulator.setFaults({});
  const redriven = await stage.verb(['dlq', 'redrive', '--all']);
  expect([redriven.code, redriven.stderr]).toEqual([0, '']);
  await drained(stage);
  expect(stage.simulator.accounts.has('bad')).toBe(true);
  const rows = join(folder, 'rows.csv');
  await writeFile(rows, 'userId,nick\nrow1,R\nrow2,R\n');
  for (const args of [
    ['import', rows],
    ['verify', rows],
    ['user', 'show', 'row1'],
    ['user', 'forget', 'row1', '--yes'],
  ]) {
    const { code, stderr } = await stage.verb(args);
    expect([args[0], code, code === 0 ? '' : stderr]).toEqual([args[0], 0, '']);
    await drained(stage);
  }
  const examined = await stage.verb(['doctor']);
  expect(examined.stdout).toContain('Redis is a primary');
  expect((await audit(stage.client, stage.keys)).problems).toEqual([]);
}

const bad = {
  scenario: { rules: [{ match: { userIdPattern: '^bad' }, action: { accountCode: 70402 } }] },
};

/** The store lost the node that holds the keys: events are taken again, and imported. */
async function goesOn(
  stage: Awaited<ReturnType<typeof setStageOn>>,
  worker: ImsyncProcess,
  what: string,
): Promise<void> {
  const killedAtMs = performance.now();
  await eventually('an event is taken', () => stage.push({ userId: 'after' }).catch(() => false), 60_000);
  await drained(stage);
  process.stderr.write(
    `stores.test.ts: ${what}: imports again after ${Math.round(performance.now() - killedAtMs)} ms\n`,
  );
  expect(stage.simulator.accounts.has('after')).toBe(true);
  expect((await audit(stage.client, stage.keys)).problems).toEqual([]);
  // One line for the change, a few for what broke with it.
  expect(worker.lines.filter((line) => line.includes('"level":"error"')).length).toBeLessThan(8);
}

test('on a cluster, and on when the owner of the keys is gone', async () => {
  const cluster = await startCluster();
  const rights = await clusterRights();
  await cluster.everywhere((client) => setDocumentedUsers(client, PASSWORD, ...rights));
  const stage = await setStageOn({ ...cluster, env: { ...cluster.env, ...guarded } }, bad);
  try {
    const refused = await stage.verb(['worker'], { IMSYNC_REDIS_URL: `${guarded.IMSYNC_REDIS_URL}/3` });
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('only database 0')]);
    const hook = await startWebhook(says('ok'));
    const worker = await stage.worker({ IMSYNC_NOTIFY_URLS: `slack+${hook.url}` });
    await wholeWay(stage, cluster);
    await eventually('redrive and import are told', () =>
      /Redrive r1 ended[\s\S]*The import of rows.csv ended/.test(
        hook.received.map(({ body }) => body).join(''),
      ),
    );
    await hook.close();
    expect((await cluster.everywhere(refusals)).flat()).toEqual([]);
    const owner = await cluster.ownerOf(keys.stream);
    await owner.kill();
    await goesOn(stage, worker, 'cluster, owner killed');
    worker.signal('SIGTERM');
    expect(await worker.ended).toBe(0);
  } finally {
    await stage.end();
  }
}, 120_000);

test('under sentinels, in the database of the address, and on when the primary is gone', async () => {
  const sentinels = await startSentinels();
  const at = sentinels.servers.map(({ settings }) => openRedis(settings, 'loop', 'test', () => undefined));
  for (const client of at) await setDocumentedUsers(client, PASSWORD);
  const settings = { ...sentinels.settings, url: `${sentinels.settings.url}/3` };
  const env = { ...sentinels.env, ...guarded, IMSYNC_REDIS_URL: `${guarded.IMSYNC_REDIS_URL}/3` };
  const stage = await setStageOn({ ...sentinels, settings, env }, bad);
  try {
    const worker = await stage.worker();
    await wholeWay(stage, { ...sentinels, settings });
    expect((await Promise.all(at.map(refusals))).flat()).toEqual([]);
    await (await sentinels.primary()).kill();
    await goesOn(stage, worker, 'sentinel, primary killed');
    // The primary of now, which is still asked in database 0.
    expect(await at[at[0]?.status === 'ready' ? 0 : 1]?.dbsize()).toBe(0);
    worker.signal('SIGTERM');
    expect(await worker.ended).toBe(0);
  } finally {
    await Promise.all(at.map(closeRedis));
    await stage.end();
  }
}, 120_000);
