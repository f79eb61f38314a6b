import fc from 'fast-check';
import { halves } from '../../../src/delivery/split.ts';

it('cuts in two, the longer half first', () => {
  expect(halves([1, 2, 3])).toEqual([[1, 2], [3]]);
  expect(halves([1])).toEqual([[1]]);
  expect(halves([])).toEqual([]);
});

it('loses nothing, keeps the order, and gets smaller', () => {
  fc.assert(
    fc.property(fc.array(fc.nat()), (items) => {
      const parts = halves(items);
      expect(parts.flat()).toEqual(items);
      if (items.length > 1) for (const part of parts) expect(part.length).toBeLessThan(items.length);
    }),
  );
});
