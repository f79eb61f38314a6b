import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTotals } from '../../src/ledger/totals.ts';
import { UserCreatedProducer } from '../../src/producer/producer.ts';
import { eventually } from '../support/eventually.ts';
import { imsync } from '../support/process.ts';
import { TEST_APP } from '../support/simulator.ts';
import { setStage } from '../support/stage.ts';

/** Hidden classes are made while V8 learns the code; by then it has. */
const WARM_CALLS = 60;
const CALLS = 60;

/**
 * Places of code, `line:column property`, that made so many hidden classes or more. V8's lines are
 * `map,Transition,<µs>,<from>,<to>,<place in memory>,<line>,<column>,<reason>,<property>`.
 */
function placesThatMade(log: string, atLeast: number): string[] {
  const counts = new Map<string, number>();
  for (const line of log.split('\n')) {
    const [, kind, , , , , row, column, reason, property] = line.split(',');
    // An accessor in an object literal shows as the second: its object has no class to share.
    if (kind !== 'Transition' && kind !== 'NormalizeCached') continue;
    const place = `${row}:${column} ${property || reason}`;
    counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  return [...counts].filter(([, made]) => made >= atLeast).map(([place, made]) => `${place}: ${made}`);
}

/**
 * `{ ...one, more }` makes a new hidden class each time it runs (`{ more, ...one }` does not): whatever reads the object
 * is never compiled for its shape, and V8 keeps all of them until it looks through the whole heap. Decision 94.
 */
test('a call makes no hidden class of its own', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'imsync-maps-'));
  const stage = await setStage({ quotas: { multiaccount_import: null } });
  const producer = new UserCreatedProducer({ sdkAppId: TEST_APP.sdkAppId, redis: stage.redis.settings });
  try {
    const logFile = join(folder, 'maps.log');
    const worker = imsync(
      ['worker'],
      { ...stage.env, IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '500' },
      undefined,
      {
        nodeArgs: ['--log-maps', '--no-log-maps-details', '--no-logfile-per-isolate', `--logfile=${logFile}`],
      },
    );
    await worker.line('worker started');
    const callsOf = async (prefix: string, calls: number, all: number): Promise<void> => {
      await producer.addMany(
        Array.from({ length: 100 * calls }, (_, i) => ({ userId: `${prefix}${i}`, nick: 'Ann' })),
      );
      await eventually('the calls are made', async () => {
        const { imported } = await readTotals(stage.client, stage.keys);
        return imported === 100 * all ? true : undefined;
      });
    };
    await callsOf('warm', WARM_CALLS, WARM_CALLS);
    const learned = await readFile(logFile, 'utf8');
    // The log has the form that is read here.
    expect(placesThatMade(learned, 1)).toContainEqual(expect.stringContaining(' errorCode: '));
    await callsOf('more', CALLS, WARM_CALLS + CALLS);
    worker.signal('SIGTERM');
    await worker.ended;
    const log = (await readFile(logFile, 'utf8')).slice(learned.length);
    expect(placesThatMade(log, CALLS / 2)).toEqual([]);
  } finally {
    await producer.close();
    await stage.end();
    await rm(folder, { recursive: true });
  }
}, 120_000);
