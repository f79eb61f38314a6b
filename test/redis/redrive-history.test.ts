import { signsOfLife } from '../../src/cli/dlq/redrive-run.ts';
import { beginRun, listRuns } from '../../src/ledger/letters/redrive-history.ts';
import { eventually } from '../support/eventually.ts';
import { useStages } from './stage.ts';

const fresh = useStages();
const report = { letters: 3, users: 2, calls: 1, imported: 0, failed: 0, left: {}, givenUp: null };
const asked = { by: 'someone', filter: {}, rate: null, force: false, asOf: 0 };

test('a redrive tells its history how far it is and how it ended', async () => {
  const { redis, keys } = fresh();
  const said: string[] = [];
  const signs = signsOfLife(redis, keys, await beginRun(redis, keys, asked), (text) => said.push(text));
  await eventually('a sign between beginning and end', async () => {
    signs.tell(report);
    return (await listRuns(redis, keys))[0]?.letters === 3;
  });
  expect(await listRuns(redis, keys)).toMatchObject([{ state: 'running', letters: 3 }]);
  await signs.broke(new Error('the letters could not be read'));
  expect(await listRuns(redis, keys)).toMatchObject([
    { state: 'interrupted', letters: 3, why: 'the letters could not be read' },
  ]);
  await signs.end(report);
  expect(await listRuns(redis, keys)).toMatchObject([{ state: 'done', letters: 3, users: 2, calls: 1 }]);
  expect(said).toEqual([]);
});

test('a history that cannot be written is said once, and ends no redrive', async () => {
  const { redis, keys } = fresh();
  const said: string[] = [];
  const signs = signsOfLife(redis, keys, await beginRun(redis, keys, asked), (text) => said.push(text));
  await redis.set(keys.redrives, 'no hash');
  await eventually('it was tried', () => {
    signs.tell(report);
    return said.length > 0;
  });
  await signs.end(report);
  await signs.broke(new Error('any'));
  expect(said).toEqual([
    expect.stringMatching(/^how far redrive r1 has come could not be written down: .*WRONGTYPE/),
  ]);
});
