import { play, rows } from './matrix.ts';

/** The short form of `npm run chaos`: cheap rows, few points, and times told but not judged. */
test.each(rows.filter(({ short }) => short === true))(
  '$name: $promise',
  async (row) => {
    const said: string[] = [];
    const result = await play(row, 1, true, (line) => said.push(line));
    expect({ problems: result.problems, said }).toEqual({ problems: [], said });
    expect(result.lost).toBe(0);
    expect(result.events).toBeGreaterThan(0);
  },
  240_000,
);
