import type { Scenario } from '../../simulator/scenario/scenario.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { eventually } from '../support/eventually.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { imsyncRun } from '../support/process.ts';
import { freePort } from '../support/redis-server.ts';
import { simulatorForTest } from '../support/simulator.ts';

describe('the pace of the fleet', () => {
  let fleet: Fleet | undefined;
  afterEach(async () => {
    await fleet?.stop();
    fleet = undefined;
  });
  const start = async (options: Parameters<typeof startFleet>[0]): Promise<Fleet> => {
    fleet = await startFleet(options);
    return fleet;
  };
  const imports = (of: Fleet) => of.simulator.report().commands.multiaccount_import;

  test('settles near a server that grants 40 % of the documented quota, and follows when it grants more', async () => {
    const quota = 40;
    const USERS = 100_000;
    const { simulator, addUsers, drained } = await start({
      workers: 2,
      simulator: { latencyMs: [20, 60], quotas: { multiaccount_import: quota } },
    });
    await addUsers(USERS);
    // The first refusals find the limit; a machine that stalls bunches calls, and more are refused for a while.
    let mark = { calls: 0, refused: 0 };
    await eventually(
      'of 200 calls in a row, fewer than one in ten is refused',
      () => {
        const { calls, refused } = { ...mark, ...imports(fleet as Fleet) };
        if (calls < mark.calls + 200) return false;
        const share = (refused - mark.refused) / (calls - mark.calls);
        mark = { calls, refused };
        return share < 0.1;
      },
      60_000,
    );
    // The limit was met while there was work.
    expect(simulator.accounts.size).toBeLessThan(USERS);

    simulator.setQuotas({ multiaccount_import: 100 });
    const books = await drained(90_000);
    expect(books.imported).toBe(USERS);
    expect(books.deadLettered).toBe(0);
  }, 180_000);

  test('429 is obeyed: nothing starts before Retry-After has passed, and no attempt is spent', async () => {
    const { simulator, addUsers, drained } = await start({});
    simulator.setFaults({
      rules: [{ match: { times: 1 }, action: { httpStatus: 429, retryAfterSeconds: 2 } }],
    } as Scenario);
    await addUsers(1);
    await drained();
    const [first, second] = simulator.calls();
    expect((second?.arrivedAtMs ?? 0) - (first?.arrivedAtMs ?? 0)).toBeGreaterThanOrEqual(2_000);
    const worker = (fleet as Fleet).workers[0];
    const lines = worker?.lines.filter((line) => line.includes('"callId"')) ?? [];
    expect(lines.some((line) => line.includes('"tries"'))).toBe(false);
  }, 120_000);

  test('of two quotas the lower one counts for both, and it is said', async () => {
    const { addUsers, drained, startWorker, simulator, redis, keys } = await start({ workers: 1 });
    const low = await startWorker({ IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '20' });
    await addUsers(6_000);
    await drained();
    // 60 calls or more at 20 a second, 1 % below: 59 gaps and more. At any other quota a third of that at most.
    const arrivals = simulator.calls().filter(({ command }) => command === 'multiaccount_import');
    expect(arrivals.length).toBeGreaterThanOrEqual(60);
    const spanMs = (arrivals.at(-1)?.arrivedAtMs ?? 0) - (arrivals[0]?.arrivedAtMs ?? 0);
    expect(spanMs).toBeGreaterThanOrEqual((arrivals.length - 1) * (1_000 / 20));
    const high = (fleet as Fleet).workers[0];
    await high?.line('another worker is configured to a lower quota, which counts: give all the same');
    low.signal('SIGTERM');
    expect(await low.ended).toBe(0);
    // Without the lower one its limit is forgotten after a while.
    await high?.line('calls go at the full configured rate again', 45_000);
    expect(Number(await redis.hget(`${keys.pacePrefix}multiaccount_import`, 'slowest'))).toBeLessThan(20_000);
  }, 120_000);

  test('a pause stops the fleet, survives restarts, and is apart from a hold', async () => {
    const { env, addUsers, drained, startWorker, simulator, redis, keys, books } = await start({});
    const hold = createHoldState(redis, keys);
    expect((await imsyncRun(['pause', '--reason', 'a test'], { ...env })).stdout).toContain('paused');
    expect((await imsyncRun(['pause'], { ...env })).stdout).toContain('already paused');
    await addUsers(300);
    const worker = (fleet as Fleet).workers[0];
    worker?.signal('SIGTERM');
    expect(await worker?.ended).toBe(0);
    await startWorker();
    const status = JSON.parse((await imsyncRun(['status', '--json'], { ...env })).stdout) as {
      paused: boolean;
      pause: { reason: string };
    };
    expect(status).toMatchObject({ paused: true, pause: { reason: 'a test' } });
    expect((await books()).waiting).toBe(300);
    expect(simulator.report().allCommands.calls).toBe(0);

    // A hold under the pause: resuming does not clear it, and its end does not resume.
    await hold.blocked(
      { epoch: (await hold.read()).epoch, probe: false },
      { errorCode: 70403, errorInfo: 'set by the test', kind: 'permission' },
    );
    expect((await imsyncRun(['resume'], { ...env })).stdout).toContain('still held');
    await drained();
    expect(await hold.read()).toMatchObject({ hold: null, pause: null });
  }, 90_000);

  test('a hold outlives every process, and the death of the prober in the middle of a probe', async () => {
    const { simulator, addUsers, drained, startWorker, workers, redis, keys } = await start({ workers: 2 });
    const hold = createHoldState(redis, keys);
    simulator.setFaults({
      rules: [
        { match: { command: 'multiaccount_import' }, action: { errorCode: 70403 } },
        { match: { command: 'account_check' }, action: { hangMs: -1 } },
      ],
    } as Scenario);
    await addUsers(500);
    await eventually('a probe hangs', () => (simulator.report().commands.account_check?.calls ?? 0) >= 1);
    for (const worker of workers) worker.signal('SIGKILL');
    await Promise.all(workers.map((worker) => worker.ended));
    expect((await hold.read()).hold?.kind).toBe('permission');
    simulator.setFaults({});
    await startWorker();
    const books = await drained();
    expect(books).toMatchObject({ imported: 500, deadLettered: 0 });
  }, 90_000);

  test('a rotated key file heals a hold for credentials', async () => {
    const { mkdtemp, rm, writeFile } = await import('node:fs/promises');
    const folder = await mkdtemp('/tmp/imsync-key-');
    try {
      const file = `${folder}/key`;
      await writeFile(file, 'a-key-that-is-wrong');
      const { addUsers, drained, startWorker, redis, keys, env } = await start({ workers: 0 });
      const { TEST_APP } = await import('../support/simulator.ts');
      const hold = createHoldState(redis, keys);
      await startWorker({ ...env, IMSYNC_SDK_SECRET_KEY: '', IMSYNC_SDK_SECRET_KEY_FILE: file });
      await addUsers(50);
      await eventually('held for credentials', async () => (await hold.read()).hold?.kind === 'credentials');
      await writeFile(file, TEST_APP.secretKey);
      expect(await drained()).toMatchObject({ imported: 50, deadLettered: 0 });
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 90_000);

  test('70398 is over when an account that did not exist is imported, not when an old one passes', async () => {
    const { simulator, addUsers, drained, redis, keys } = await start({ simulator: { maxAccounts: 150 } });
    const hold = createHoldState(redis, keys);
    await addUsers(150, 'old');
    await drained();
    await addUsers(50, 'new');
    await eventually('held for the quota', async () => (await hold.read()).hold?.kind === 'quota');
    const { epoch } = await hold.read();
    await addUsers(60, 'old');
    const checks = (): number => simulator.report().commands.account_check?.calls ?? 0;
    const from = checks();
    await eventually('two checks', () => checks() - from >= 2, 60_000);
    // Whatever was probed, nothing let the fleet go.
    expect((await hold.read()).hold?.kind).toBe('quota');
    expect(simulator.calls().some(({ errorCode }) => errorCode === 70398)).toBe(true);
    expect(Number((await hold.read()).epoch)).toBeGreaterThanOrEqual(Number(epoch));
    simulator.setFaults({ maxAccounts: null } as Scenario);
    expect(await drained(90_000)).toMatchObject({ imported: 260, deadLettered: 0 });
  }, 150_000);

  test('a dead host is an outage: nothing is dead-lettered, and all are imported when it is there again', async () => {
    const port = await freePort();
    const { addUsers, drained, redis, keys } = await start({
      workers: 3,
      env: { IMSYNC_BASE_URL: `http://127.0.0.1:${port}` },
    });
    const hold = createHoldState(redis, keys);
    await addUsers(5_000);
    await eventually('held for the outage', async () => (await hold.read()).hold?.kind === 'outage');
    const there = await simulatorForTest({ port });
    try {
      expect(await drained(90_000)).toMatchObject({ imported: 5_000, deadLettered: 0 });
      expect(there.accounts.size).toBe(5_000);
    } finally {
      await fleet?.stop();
      fleet = undefined;
      await there.close();
    }
  }, 150_000);
});
