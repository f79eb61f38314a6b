import { attempt } from '../../../bench/run.ts';
import type { Bench, BenchContext } from '../../../bench/stage/bench.ts';

it('publishes why a benchmark broke and no folder of the machine; who runs it is told where', async () => {
  const said: string[] = [];
  const bench: Bench = {
    name: 'broken',
    about: 'breaks',
    runs: 1,
    run: async () => {
      throw new Error('no room');
    },
  };
  const context = { say: (line: string) => said.push(line) } as unknown as BenchContext;
  expect(await attempt(bench, context)).toEqual({ rows: [], problems: ['it broke: no room'] });
  expect(said.join('\n')).toContain('run.test');
});
