import { encodeImport } from '../../src/im/bodies.ts';
import { createImClient, type ImClient } from '../../src/im/client.ts';
import type { HostSwitch } from '../../src/im/host-choice.ts';
import { eventually } from '../support/eventually.ts';
import { startLane } from '../support/lane.ts';
import { freePort, startRedis } from '../support/redis-server.ts';
import { simulatorForTest, TEST_APP, userSigForTest } from '../support/simulator.ts';

async function importOne(client: ImClient, userId: string): Promise<string> {
  const prepared = client.prepare('account_import', encodeImport('account_import', 'current', [{ userId }]));
  await prepared.connected;
  const answer = await prepared.send();
  return answer.kind === 'fault' ? answer.fault : answer.kind;
}

it('two hosts: the main one goes away, the backup serves, the main one comes back', async () => {
  const port = await freePort();
  let main = await simulatorForTest({ port });
  const backup = await simulatorForTest();
  const switches: HostSwitch[] = [];
  let nowMs = 0;
  const client = createImClient({
    ...TEST_APP,
    baseUrl: main.url,
    backupUrl: backup.url,
    onSwitch: (change) => switches.push(change),
    userSig: () => userSigForTest(),
    callTimeoutMs: 4_000,
    nowMs: () => nowMs,
  });
  try {
    expect(await importOne(client, 'a')).toBe('api');
    // A connection that was given up unsent serves the host it leads to, never the other one.
    const spare = client.prepare(
      'account_import',
      encodeImport('account_import', 'current', [{ userId: 'spare' }]),
    );
    expect(await spare.connected).toBe(true);
    await main.close();
    spare.abandon();
    for (const at of [900, 1_000, 1_500, 2_000, 2_500, 3_100]) {
      nowMs = at;
      expect(await importOne(client, 'b')).not.toBe('api');
    }
    nowMs = 3_200;
    expect(await importOne(client, 'b')).toBe('api');
    expect([...backup.accounts.keys()]).toEqual(['b']);
    main = await simulatorForTest({ port });
    nowMs = 70_000;
    expect(await importOne(client, 'c')).toBe('api');
    expect([...main.accounts.keys()]).toEqual(['c']);
    expect(switches).toEqual([
      { from: main.url, to: backup.url, why: 'unreachable' },
      { from: backup.url, to: main.url, why: 'trial' },
    ]);
  } finally {
    client.close();
    await main.close();
    await backup.close();
  }
});

it('a worker goes on by the backup host, and says so once', async () => {
  const server = await startRedis();
  const dead = await freePort();
  const lane = await startLane({
    server,
    sdkAppId: 1_400_000_500,
    hosts: (backupUrl) => ({ baseUrl: `http://127.0.0.1:${dead}`, backupUrl }),
  });
  try {
    await lane.add([{ userId: 'a' }, { userId: 'b' }]);
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 2, deadLettered: 0 });
    const told = () => lane.log.filter((line) => line.includes('calls go to the other host of the region'));
    await eventually('it is said', () => told().length > 0);
    expect(told()).toHaveLength(1);
  } finally {
    await lane.stop();
    await server.stop();
  }
});
