import { mapInOrder } from '../../../../src/tasks/backfill/check-rows.ts';

async function* numbers(
  count: number,
  onGive: (n: number) => void = () => undefined,
): AsyncGenerator<number> {
  for (let n = 0; n < count; n++) {
    onGive(n);
    yield n;
  }
}

/** Lets a test end pieces in any order. */
function desk() {
  const waiting = new Map<number, () => void>();
  return {
    begun: () => [...waiting.keys()],
    work: (n: number) => new Promise<number>((resolve) => waiting.set(n, () => resolve(n))),
    end: (...ns: number[]) => {
      for (const n of ns) waiting.get(n)?.();
    },
  };
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

test("results come in the source's order, whichever piece ends first", async () => {
  const { work, end } = desk();
  const seen: number[] = [];
  const all = (async () => {
    for await (const n of mapInOrder(numbers(3), 3, work)) seen.push(n);
  })();
  await soon();
  end(2, 1);
  await soon();
  expect(seen).toEqual([]);
  end(0);
  await all;
  expect(seen).toEqual([0, 1, 2]);
});

test('takes no more pieces from the source than may be in work', async () => {
  const { work, begun, end } = desk();
  let given = 0;
  const answers = mapInOrder(
    numbers(100, () => given++),
    4,
    work,
  );
  const first = answers.next();
  await soon();
  expect([given, begun()]).toEqual([4, [0, 1, 2, 3]]);
  end(0, 1, 2, 3);
  expect(await first).toEqual({ done: false, value: 0 });
  await soon();
  // The next result was not taken.
  expect(given).toBe(4);
  await answers.return(undefined);
});

test('throws an error in its turn and closes the source', async () => {
  let closed = false;
  async function* source(): AsyncGenerator<number> {
    try {
      yield* numbers(10);
    } finally {
      closed = true;
    }
  }
  const seen: number[] = [];
  const all = (async () => {
    const work = async (n: number) => {
      if (n === 2) throw new Error('the third');
      return n;
    };
    for await (const n of mapInOrder(source(), 5, work)) seen.push(n);
  })();
  await expect(all).rejects.toThrow('the third');
  expect([seen, closed]).toEqual([[0, 1], true]);
});
