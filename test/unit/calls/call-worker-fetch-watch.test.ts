import { startFetchWatch } from '../../../src/calls/bullmq/call-worker.ts';

const { jest } = import.meta;

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

async function looks(times: number, hasRoom: () => boolean, dueJobs: () => Promise<number>): Promise<number> {
  let stuck = 0;
  const watch = startFetchWatch({ hasRoom, dueJobs, onStuck: () => stuck++ });
  await jest.advanceTimersByTimeAsync(5_000 * times);
  void watch.stop();
  await jest.advanceTimersByTimeAsync(60_000);
  return stuck;
}

it('reports jobs that wait and are not fetched, at the second look', async () => {
  const two = async () => 2;
  expect(await looks(1, () => true, two)).toBe(0);
  expect(await looks(2, () => true, two)).toBe(1);
  expect(await looks(4, () => true, two)).toBe(2);
});

it('reports nothing while runs begin or none may, while no job waits and while Redis is away', async () => {
  let turn = 0;
  expect(
    await looks(
      10,
      () => false,
      async () => 5,
    ),
  ).toBe(0);
  expect(
    await looks(
      10,
      () => true,
      async () => 0,
    ),
  ).toBe(0);
  expect(
    await looks(
      10,
      () => turn++ % 2 !== 0,
      async () => 5,
    ),
  ).toBe(0);
  expect(
    await looks(
      10,
      () => true,
      () => Promise.reject(new Error('Connection is closed.')),
    ),
  ).toBe(0);
});

it('counts from the start again when Redis was away in between', async () => {
  let asked = 0;
  const dueJobs = () => (++asked % 2 === 0 ? Promise.reject(new Error('away')) : Promise.resolve(2));
  expect(await looks(9, () => true, dueJobs)).toBe(0);
});

it('asks Redis once at a time, however long the answer takes', async () => {
  let asked = 0;
  const never = () => {
    asked++;
    return new Promise<number>(() => undefined);
  };
  expect(await looks(10, () => true, never)).toBe(0);
  expect(asked).toBe(1);
});

it('asks nothing after it is closed', async () => {
  let asked = 0;
  await looks(
    2,
    () => true,
    async () => {
      asked++;
      return 0;
    },
  );
  expect(asked).toBe(2);
});
