import { runConcurrently } from '../../../src/delivery/run-concurrently.ts';

const tick = (): Promise<void> => Promise.resolve();

it('works off what follows, each piece once, several at a time and never more than twenty', async () => {
  const seen: number[] = [];
  let atOnce = 0;
  let most = 0;
  const end = await runConcurrently<number, never>(
    Array.from({ length: 50 }, (_, i) => i),
    async (piece) => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await tick();
      atOnce -= 1;
      seen.push(piece);
      return { again: piece < 50 ? [piece + 100] : [] };
    },
  );
  expect(end).toBeUndefined();
  expect(new Set(seen).size).toBe(100);
  expect(seen).toHaveLength(100);
  expect(most).toBe(20);
});

it('after an end it begins nothing new and waits for what it began', async () => {
  const done: number[] = [];
  const end = await runConcurrently<number, string>(
    Array.from({ length: 50 }, (_, i) => i),
    async (piece) => {
      if (piece === 0) return { again: [1_000], end: 'over' };
      await tick();
      await tick();
      done.push(piece);
      return { again: [] };
    },
  );
  expect(end).toBe('over');
  expect(done).toEqual(Array.from({ length: 19 }, (_, i) => i + 1));
});

it('an error ends it after what it began, and is the one that comes out', async () => {
  const done: number[] = [];
  const running = runConcurrently<number, never>([0, 1, 2], async (piece) => {
    if (piece === 0) throw new Error('Redis broke off');
    await tick();
    done.push(piece);
    if (piece === 2) throw new Error('later');
    return { again: [] };
  });
  await expect(running).rejects.toThrow('Redis broke off');
  expect(done).toEqual([1, 2]);
});
