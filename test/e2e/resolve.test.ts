import { eventually } from '../support/eventually.ts';
import { type Lane, startLane } from '../support/lane.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

let server: TestRedis;
let lane: Lane;
let app = 1_400_000_400;

beforeAll(async () => {
  server = await startRedis();
});
afterEach(() => lane.stop());
afterAll(() => server.stop());

const start = async (options: Partial<Parameters<typeof startLane>[0]> = {}): Promise<void> => {
  lane = await startLane({ server, sdkAppId: app++, ...options });
};
const commands = (): string[] => lane.simulator.calls().map(({ command, items }) => `${command} ${items}`);
const users = (n: number, nick?: string) =>
  Array.from({ length: n }, (_, i) => ({ userId: `u${i}`, ...(nick !== undefined && { nick }) }));

describe('FailAccounts', () => {
  it('once more together, then who is there is done and the others are called alone', async () => {
    await start();
    await lane.add([{ userId: 'there' }, { userId: 'new.face', nick: 'New' }]);
    await lane.drained();
    lane.simulator.setFaults({
      rules: [
        { match: { command: 'account_import', userIds: ['never'] }, action: { accountCode: 70402 } },
        { match: { userIds: ['there', 'new.face', 'gone', 'never'] }, action: { failAccounts: true } },
      ],
    });
    const before = commands().length;
    await lane.add([
      { userId: 'there' },
      { userId: 'new.face', nick: 'Newer' },
      { userId: 'gone' },
      { userId: 'never' },
      { userId: 'fine' },
    ]);
    await lane.drained();
    expect(commands().slice(before)).toEqual([
      'multiaccount_import 5',
      'multiaccount_import 4',
      'account_check 4',
      // Who is there with nothing new to say is not called again.
      'account_import 1',
      'account_import 1',
      'account_import 1',
    ]);
    expect(lane.simulator.accounts.get('new.face')?.nick).toBe('Newer');
    expect(lane.simulator.accounts.has('gone')).toBe(true);
    expect((await lane.letters('never')).map(({ errorCode }) => errorCode)).toEqual([70402]);
    expect(await lane.leftovers()).toEqual([]);
  });

  it('a check that fails costs nothing but itself', async () => {
    await start();
    lane.simulator.setFaults({
      rules: [
        { match: { command: 'multiaccount_import' }, action: { failAccounts: true } },
        { match: { command: 'account_check' }, action: { errorCode: 60017 } },
      ],
    });
    await lane.add(users(3));
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 3, deadLettered: 0 });
    expect(await lane.redis.hget(lane.keys.hold, 'held')).toBeNull();
  });

  it('an account that is there and refuses its new profile ends as a profile letter', async () => {
    await start();
    await lane.add(users(2, 'Old'));
    await lane.drained();
    lane.simulator.setFaults({
      rules: [
        { match: { command: 'multiaccount_import' }, action: { failAccounts: true } },
        { match: { command: 'account_import', userIds: ['u1'] }, action: { accountCode: 70402 } },
      ],
    });
    await lane.add(users(2, 'New'));
    await lane.drained();
    expect(lane.simulator.accounts.get('u0')?.nick).toBe('New');
    expect((await lane.letters('u1')).map(({ reason, errorCode }) => [reason, errorCode])).toEqual([
      ['profile', 70402],
    ]);
  });

  it('IDs that were never sent are counted and ignored', async () => {
    await start();
    lane.simulator.setFaults({
      rules: [{ match: { command: 'multiaccount_import' }, action: { strangers: ['someone', 'else'] } }],
    });
    await lane.add(users(3));
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 3, deadLettered: 0 });
    expect(commands()).toEqual(['multiaccount_import 3']);
    expect(lane.log.filter((line) => line.includes('"strangers":2'))).toHaveLength(1);
  });

  it('of a hundred: all resolved by single calls within their own quota', async () => {
    await start();
    lane.simulator.setFaults({
      rules: [{ match: { command: 'multiaccount_import' }, action: { failAccounts: true } }],
    });
    await lane.add(users(100, 'Nick'));
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 100, deadLettered: 0 });
    const report = lane.simulator.report();
    expect(report.commands.account_import).toMatchObject({ calls: 100, refused: 0 });
    expect(report.commands.account_check?.calls).toBe(1);
  });
});

describe('profiles', () => {
  it('with dead-letter a refused profile costs the account', async () => {
    await start({ env: { IMSYNC_ON_PROFILE_FAULT: 'dead-letter' }, simulator: { sensitiveWords: ['rude'] } });
    await lane.add([
      { userId: 'ann', nick: 'rude' },
      { userId: 'bob', faceUrl: 'x'.repeat(501) },
      { userId: 'cat' },
    ]);
    await lane.drained();
    expect([...lane.simulator.accounts.keys()]).toEqual(['cat']);
    expect((await lane.letters('ann'))[0]).toMatchObject({ reason: 'profile', errorCode: 40005 });
    expect((await lane.letters('bob'))[0]).toMatchObject({ reason: 'profile', errorCode: 40601 });
  });

  it('too long by one byte: never sent, the account comes bare with the others', async () => {
    await start();
    await lane.add([
      { userId: 'ann', nick: 'é'.repeat(251) },
      { userId: 'bob', nick: 'é'.repeat(250) },
    ]);
    await lane.drained();
    expect(commands()).toEqual(['multiaccount_import 2']);
    expect(lane.simulator.accounts.get('ann')?.nick).toBeUndefined();
    expect(lane.simulator.accounts.get('bob')?.nick).toBe('é'.repeat(250));
    expect((await lane.letters('ann'))[0]).toMatchObject({
      reason: 'profile',
      errorCode: 40601,
      httpStatus: 0,
    });
  });

  it('a bare account that is refused, too, has one letter with the last reason', async () => {
    await start({ simulator: { sensitiveWords: ['rude'] } });
    lane.simulator.setFaults({
      rules: [
        {
          match: { command: 'account_import', userIds: ['ann'], timesPerAccount: 1 },
          action: { accountCode: 40005 },
        },
        { match: { userIds: ['ann'] }, action: { accountCode: 70402 } },
      ],
    });
    await lane.add([{ userId: 'ann', nick: 'rude' }]);
    await lane.drained();
    expect((await lane.letters('ann')).map(({ reason, errorCode }) => [reason, errorCode])).toEqual([
      ['rejected', 70402],
    ]);
  });
});

describe('rides along', () => {
  it('the newest is refused: the next older event makes the account', async () => {
    await start({ simulator: { sensitiveWords: ['rude'] } });
    const [, newer = ''] = await lane.add([
      { userId: 'ann', nick: 'Ann' },
      { userId: 'ann', nick: 'rude' },
      { userId: 'bob' },
    ]);
    const books = await lane.drained();
    expect(lane.simulator.accounts.get('ann')?.nick).toBe('Ann');
    expect((await lane.letters('ann')).map(({ eventId, reason }) => [eventId, reason])).toEqual([
      [newer, 'profile'],
    ]);
    expect(books).toMatchObject({ imported: 2, superseded: 0, deadLettered: 1 });
    expect(await lane.leftovers()).toEqual([]);
  });

  it('all are refused: the oldest one still makes a bare account', async () => {
    await start({ simulator: { sensitiveWords: ['rude'] } });
    await lane.add([
      { userId: 'ann', nick: 'rude 1' },
      { userId: 'ann', nick: 'rude 2' },
    ]);
    await lane.drained();
    expect(lane.simulator.accounts.has('ann')).toBe(true);
    expect(await lane.letters('ann')).toHaveLength(2);
  });

  it('a newer event that was parked makes the account after the older one was refused', async () => {
    await start({ simulator: { sensitiveWords: ['rude'], latencyMs: [300, 300] } });
    lane.simulator.setFaults({
      rules: [{ match: { userIds: ['ann'], times: 1 }, action: { accountCode: 70402 } }],
    });
    await lane.add([{ userId: 'ann', nick: 'Old' }]);
    await eventually('the call is on its way', () => lane.simulator.calls().length > 0);
    await lane.add([{ userId: 'ann', nick: 'New' }]);
    await eventually('it is parked', async () => (await lane.books()).parked === 1);
    await lane.drained();
    expect(lane.simulator.accounts.get('ann')?.nick).toBe('New');
    expect(await lane.leftovers()).toEqual([]);
  });
});

describe('declared verdicts', () => {
  it('a new code is learned without a release', async () => {
    await start({ file: { verdicts: { 70999: 'account', 71000: 'retry' } } });
    lane.simulator.setFaults({
      rules: [
        { match: { command: 'multiaccount_import', times: 1 }, action: { errorCode: 71000 } },
        { match: { userIds: ['u2'] }, action: { accountCode: 70999 } },
      ],
    });
    // The next run begins with u1 alone.
    await lane.add(users(3));
    await lane.drained();
    const [letter] = await lane.letters('u2');
    expect(letter).toMatchObject({ reason: 'rejected', errorCode: 70999 });
    expect(letter.attempts.map(({ errorCode }: { errorCode: number }) => errorCode)).toEqual([
      71000, 70999, 70999,
    ]);
  });

  it('hold: a code declared app stops the fleet', async () => {
    await start({ file: { verdicts: { 72000: 'app' } } });
    lane.simulator.setFaults({ rules: [{ action: { errorCode: 72000 } }] });
    await lane.add(users(1));
    await eventually('held', () => lane.redis.hexists(lane.keys.hold, 'held').then((n) => n === 1));
    lane.simulator.setFaults({});
    const books = await lane.drained();
    expect(books).toMatchObject({ imported: 1, deadLettered: 0 });
  });
});
