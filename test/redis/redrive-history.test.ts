import { beginRun, listRuns } from '../../src/ledger/letters/redrive-history.ts';
import { createRunRecorder } from '../../src/tasks/redrive-run.ts';
import { eventually } from '../support/eventually.ts';
import { useStages } from './stage.ts';

const fresh = useStages();
const report = { letters: 3, users: 2, calls: 1, imported: 0, failed: 0, left: {}, givenUp: null };
const asked = { by: 'someone', filter: {}, rate: null, force: false, asOf: 0 };

test('a redrive records its progress and how it ended', async () => {
  const { redis, keys } = fresh();
  const said: string[] = [];
  const recorder = createRunRecorder({ redis, keys }, await beginRun({ redis, keys }, asked), (text) =>
    said.push(text),
  );
  await eventually('progress is recorded before the end', async () => {
    recorder.progress(report);
    return (await listRuns({ redis, keys }))[0]?.letters === 3;
  });
  expect(await listRuns({ redis, keys })).toMatchObject([{ state: 'running', letters: 3 }]);
  await recorder.fail(new Error('the letters could not be read'));
  expect(await listRuns({ redis, keys })).toMatchObject([
    { state: 'interrupted', letters: 3, why: 'the letters could not be read' },
  ]);
  await recorder.end(report);
  expect(await listRuns({ redis, keys })).toMatchObject([{ state: 'done', letters: 3, users: 2, calls: 1 }]);
  expect(said).toEqual([]);
});

test('a history that cannot be written is reported once and stops no redrive', async () => {
  const { redis, keys } = fresh();
  const said: string[] = [];
  const recorder = createRunRecorder({ redis, keys }, await beginRun({ redis, keys }, asked), (text) =>
    said.push(text),
  );
  await redis.set(keys.redrives, 'no hash');
  await eventually('a write was tried', () => {
    recorder.progress(report);
    return said.length > 0;
  });
  await recorder.end(report);
  await recorder.fail(new Error('any'));
  expect(said).toEqual([
    expect.stringMatching(/^The progress of redrive r1 could not be recorded: .*WRONGTYPE/),
  ]);
});
