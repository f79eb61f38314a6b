import { booksProblems } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { drained, linesOf, type Stage, setStage } from '../support/stage.ts';

let stage: Stage;
afterEach(() => stage.end(), 60_000);

const isHeld = async (): Promise<boolean> => (await stage.client.hexists(stage.keys.hold, 'held')) === 1;
const hold = async (): Promise<Record<string, unknown>> => {
  const { stdout } = await stage.verb(['status', '--json']);
  return (JSON.parse(stdout) as { hold: Record<string, unknown> }).hold;
};

test('a fault of the app holds the fleet: nothing but probes goes out, nothing dies, all is imported after it', async () => {
  stage = await setStage({ latencyMs: [10, 40] });
  const workers = await Promise.all([stage.worker(), stage.worker()]);
  stage.simulator.setFaults({ rules: [{ action: { errorCode: 70403, errorInfo: 'no permission' } }] });
  for (let i = 0; i < 300; i++) await stage.push({ userId: `u${i}` });
  await eventually('the hold', isHeld);
  const heldAt = Date.now();
  expect(await hold()).toEqual({
    errorCode: 70403,
    errorInfo: 'no permission',
    kind: 'permission',
    since: expect.any(Number),
    nextProbeAt: expect.any(Number),
  });

  // Two probes, a second apart and more: what went out after the hold is theirs.
  const callsAtHold = (): number =>
    stage.simulator.calls().filter(({ arrivedAtMs }) => arrivedAtMs > heldAt + 200).length;
  await eventually('two probes', () => callsAtHold() >= 2, 60_000);
  const probes = stage.simulator.calls().filter(({ arrivedAtMs }) => arrivedAtMs > heldAt + 200);
  const gaps = probes.slice(1).map(({ arrivedAtMs }, i) => arrivedAtMs - (probes[i]?.arrivedAtMs ?? 0));
  // A probe goes out no sooner than its time; how much later is nobody's promise.
  for (const gap of gaps) expect(gap).toBeGreaterThan(950);
  expect(await stage.client.zcard(stage.keys.deadByTime)).toBe(0);
  expect(await booksProblems(stage.client, stage.keys)).toEqual([]);
  for (const worker of workers) {
    expect(linesOf(worker, 'dead-lettered as')).toEqual([]);
  }
  // Each of them says it once, however many calls and probes meet it.
  const said = workers.map(({ lines }) => lines.filter((line) => line.includes('all calls are held')).length);
  expect(said).toEqual([1, 1]);

  stage.simulator.setFaults({});
  await drained(stage);
  expect(stage.simulator.accounts.size).toBe(300);
  expect(await stage.client.zcard(stage.keys.deadByTime)).toBe(0);
  expect(await hold()).toBeNull();
  // Nobody spent an attempt on it.
  expect([...stage.simulator.accounts.values()].every(({ imports }) => imports === 1)).toBe(true);
}, 120_000);

test('a wrong key holds with kind credentials, and the right one lets the events go', async () => {
  stage = await setStage();
  const wrong = await stage.worker({ IMSYNC_SDK_SECRET_KEY: 'f'.repeat(64) });
  await stage.push({ userId: 'alice' });
  await eventually('the hold', isHeld);
  expect(await hold()).toMatchObject({ errorCode: 70009, kind: 'credentials' });
  expect(await stage.client.zcard(stage.keys.deadByTime)).toBe(0);
  wrong.signal('SIGTERM');
  expect(await wrong.ended).toBe(0);

  await stage.worker();
  await drained(stage);
  expect([...stage.simulator.accounts.keys()]).toEqual(['alice']);
}, 120_000);
