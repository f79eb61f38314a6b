import { cutCalls } from '../../src/intake/cut.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { type Lane, startLane } from '../support/lane.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

let server: TestRedis;
let lane: Lane | undefined;

beforeAll(async () => {
  server = await startRedis();
});
afterEach(async () => {
  await lane?.stop();
  lane = undefined;
});
afterAll(() => server.stop());

function callsBy(of: Lane): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { command } of of.simulator.calls()) counts[command] = (counts[command] ?? 0) + 1;
  return counts;
}

/** Everything that Redis holds, as text. */
async function everything(redis: RedisClient): Promise<string> {
  const texts: string[] = [];
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key);
    if (type === 'string') texts.push(String(await redis.get(key)));
    if (type === 'hash') texts.push(JSON.stringify(await redis.hgetall(key)));
    if (type === 'list') texts.push(JSON.stringify(await redis.lrange(key, 0, -1)));
    if (type === 'set') texts.push(JSON.stringify(await redis.smembers(key)));
    if (type === 'zset') texts.push(JSON.stringify(await redis.zrange(key, '0', '-1')));
    if (type === 'stream') texts.push(JSON.stringify(await redis.xrange(key, '-', '+')));
  }
  return texts.join('\n');
}

describe('current', () => {
  it('has no Type: a robot is a dead letter that says the way out, and its neighbours share one call', async () => {
    lane = await startLane({ server, sdkAppId: 1_400_000_320 });
    const { accounts } = lane.simulator;
    const [, robot = '', , , newer = ''] = await lane.add([
      { userId: 'anna', nick: 'Anna' },
      { userId: '@RBT#one', type: 1 as const },
      { userId: 'bo' },
      { userId: 'cy', nick: 'Cy' },
      // Its user's other event stands.
      { userId: 'cy', nick: 'Cy the robot', type: 1 as const },
    ]);
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 3, deadLettered: 2 });
    expect([...accounts.keys()].sort()).toEqual(['anna', 'bo', 'cy']);
    expect(accounts.get('cy')).toMatchObject({ nick: 'Cy', type: 0 });
    expect(callsBy(lane)).toEqual({ multiaccount_import: 1 });
    for (const [userId, eventId] of [
      ['@RBT#one', robot],
      ['cy', newer],
    ] as const)
      expect(await lane.letters(userId)).toMatchObject([
        {
          eventId,
          reason: 'invalid',
          errorCode: 0,
          errorInfo: expect.stringMatching(/no Type.*IMSYNC_API=legacy.*own call for robots/),
          attempts: [],
        },
      ]);
    expect(await lane.leftovers()).toEqual([]);
  });

  it('robots that an earlier version cut alone, or put into a batch, wait for the same end', async () => {
    const sdkAppId = 1_400_000_321;
    const keys = keysOf(sdkAppId);
    const redis = openRedis(server.settings, 'loop', 'test', () => undefined);
    for (const fields of [['@RBT#one', 'type', '1'], ['anna'], ['anna', 'type', '1']])
      await redis.xadd(keys.stream, '*', 'userId', ...fields);
    const limits = {
      batchCommand: 'multiaccount_import',
      singleCommand: 'account_import',
      maxUsers: 100,
    } as const;
    const at = { maxWaitMs: 0, eagerCalls: 0, eagerGapMs: 0, maxOpenCalls: 10 };
    // With nobody's profile at stake, this is how robots were cut in every form.
    const cut = await cutCalls({ redis, keys }, { ...limits, ...at, alone: 'profile-or-robot' });
    expect(cut).toMatchObject({ calls: [{ command: 'account_import' }, { command: 'multiaccount_import' }] });
    await closeRedis(redis);
    // Its sweep finds that they have no job.
    lane = await startLane({ server, sdkAppId });
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 1, deadLettered: 2 });
    expect(callsBy(lane)).toEqual({ multiaccount_import: 1 });
    expect(await lane.letters('@RBT#one')).toMatchObject([{ reason: 'invalid' }]);
    expect(await lane.letters('anna')).toMatchObject([{ reason: 'invalid' }]);
    expect(await lane.leftovers()).toEqual([]);
  });
});

describe('legacy', () => {
  it('carries bare IDs by the hundred, and profiles and robots alone', async () => {
    lane = await startLane({ server, sdkAppId: 1_400_000_300, form: 'legacy' });
    const { accounts } = lane.simulator;
    await lane.add([
      ...Array.from({ length: 10 }, (_, i) => ({ userId: `bare${i}` })),
      { userId: 'anna', nick: 'Anna', faceUrl: 'https://example.com/a.png' },
      { userId: '@RBT#one', type: 1 as const },
      { userId: 'bare10' },
    ]);
    await lane.drained();
    expect(accounts.get('anna')).toMatchObject({ nick: 'Anna', faceUrl: 'https://example.com/a.png' });
    expect(accounts.get('@RBT#one')).toMatchObject({ type: 1 });
    expect([...accounts.keys()].filter((userId) => userId.startsWith('bare'))).toHaveLength(11);
    expect(callsBy(lane)).toEqual({ multiaccount_import: 1, account_import: 2 });
    expect(await lane.leftovers()).toEqual([]);
  });

  it('a user whose newer event has a profile goes alone, though the older one was cut into the batch', async () => {
    lane = await startLane({ server, sdkAppId: 1_400_000_301, form: 'legacy' });
    await lane.add([{ userId: 'bo' }, { userId: 'cy' }, { userId: 'bo', nick: 'Bo' }]);
    const books = await lane.drained();
    expect(lane.simulator.accounts.get('bo')?.nick).toBe('Bo');
    expect(books).toMatchObject({ imported: 2, superseded: 1, deadLettered: 0 });
    expect(callsBy(lane)).toEqual({ multiaccount_import: 1, account_import: 1 });
  });

  it('a profile that is too long leaves an ID that fits the batch call', async () => {
    lane = await startLane({ server, sdkAppId: 1_400_000_302, form: 'legacy' });
    await lane.add([{ userId: 'dee', nick: 'x'.repeat(501) }]);
    await lane.drained();
    expect(lane.simulator.accounts.has('dee')).toBe(true);
    expect((await lane.letters('dee')).map(({ reason, errorCode }) => [reason, errorCode])).toEqual([
      ['profile', 40601],
    ]);
  });

  it('keeps to its own quota of the single call', async () => {
    lane = await startLane({ server, sdkAppId: 1_400_000_303, form: 'legacy' });
    await lane.add(Array.from({ length: 150 }, (_, i) => ({ userId: `p${i}`, nick: `P${i}` })));
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 150, deadLettered: 0 });
    const { account_import: report } = lane.simulator.report().commands;
    expect(report?.refused).toBe(0);
    // As they surely were: this process, which is the receiver, may have stamped some late.
    expect(report?.maxSurelyInRollingSecond).toBeLessThanOrEqual(100);
  });
});

describe('hosted', () => {
  const secret = 'Pass-W0rd-77';

  it('registers every user alone, and keeps the password no longer than that', async () => {
    lane = await startLane({ server, sdkAppId: 1_400_000_310, form: 'hosted' });
    lane.simulator.setFaults({
      rules: [
        { match: { userIds: ['user.3'] }, action: { accountCode: 70421, errorInfo: `no ${secret} please` } },
        { match: { userIds: ['user.5'], times: 1 }, action: { errorCode: 70405 } },
      ],
    });
    const users = Array.from({ length: 30 }, (_, i) => ({
      userId: `user.${i}`,
      identifierType: 3 as const,
      password: secret,
    }));
    await lane.add(users);
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 29, deadLettered: 1 });
    expect(lane.simulator.report().commands.register_account_v1?.calls).toBe(31);
    const [letter] = await lane.letters('user.3');
    expect(letter).toMatchObject({ reason: 'rejected', errorCode: 70421, withheld: ['password'] });
    expect(letter.errorInfo).toContain('[redacted]');
    expect(await everything(lane.redis)).not.toContain(secret);
    expect(lane.log.join('\n')).not.toContain(secret);
    expect(await lane.leftovers()).toEqual([]);
  });

  it('has no Type either: a robot is a dead letter, and its neighbour is registered', async () => {
    lane = await startLane({ server, sdkAppId: 1_400_000_322, form: 'hosted' });
    const user = { identifierType: 3 as const, password: secret };
    const asRobot = ['type', '1', 'identifierType', '3', 'password', secret];
    await lane.redis.xadd(lane.keys.stream, '*', 'userId', 'some.robot', ...asRobot);
    await lane.add([{ userId: 'some.one', ...user }]);
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 1, deadLettered: 1 });
    expect([...lane.simulator.accounts.keys()]).toEqual(['some.one']);
    expect(await lane.letters('some.robot')).toMatchObject([
      { reason: 'invalid', errorInfo: expect.stringContaining('register_account_v1 has no Type') },
    ]);
  });

  it('a repeat finds the account there: that is success', async () => {
    lane = await startLane({ server, sdkAppId: 1_400_000_311, form: 'hosted' });
    const user = { userId: 'some.one', identifierType: 3 as const, password: secret };
    // The work is done, the answer is lost; the next call is told 70402.
    lane.simulator.setFaults({ rules: [{ match: { times: 1 }, action: { reset: 'after' } }] });
    await lane.add([user]);
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 1, deadLettered: 0 });
    expect(lane.simulator.calls().map(({ errorCode }) => errorCode)).toEqual([null, 70402]);
  });

  it('says in words what no call could register', async () => {
    lane = await startLane({ server, sdkAppId: 1_400_000_312, form: 'hosted' });
    const bad = ['userId', 'abc', 'identifierType', '3', 'password', 'short'];
    const id = await lane.redis.xadd(lane.keys.stream, '*', ...bad);
    await lane.drained();
    const [letter] = await eventually('the letter', async () => {
      const letters = await lane?.letters('abc');
      return letters?.length === 1 ? letters : null;
    });
    expect(letter).toMatchObject({ eventId: id, reason: 'invalid', withheld: ['password'] });
    expect(letter.errorInfo).toContain('userId must have 4 to 24 characters in hosted mode');
    expect(letter.errorInfo).toContain('password must have 8 to 16 characters');
    expect(lane.simulator.calls()).toEqual([]);
    expect(await everything(lane.redis)).not.toContain('"short"');
  });
});
