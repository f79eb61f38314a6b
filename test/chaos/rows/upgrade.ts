import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../support/eventually.ts';
import type { Arena } from '../arena.ts';
import type { Row } from '../row.ts';

/** The version before and the version after, side by side; the one after writes records of a newer format. */

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** A build that differs in one thing: the format of its records. Answers its cli.js and how to be rid of it. */
async function newerBuild(): Promise<{ cli: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'imsync-newer-'));
  await cp(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  await cp(join(root, 'package.json'), join(folder, 'package.json'));
  await cp(join(root, 'config'), join(folder, 'config'), { recursive: true });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  const record = join(folder, 'dist/ledger/record.js');
  const text = await readFile(record, 'utf8');
  if (!text.includes('RECORD_FORMAT = 1;')) throw new Error(`${record} does not say RECORD_FORMAT = 1`);
  await writeFile(record, text.replace('RECORD_FORMAT = 1;', 'RECORD_FORMAT = 2;'));
  return { cli: join(folder, 'dist/cli.js'), remove: () => rm(folder, { recursive: true, force: true }) };
}

async function openOf({ redis, keys }: Arena, format: number): Promise<string[]> {
  const found: string[] = [];
  for (const callId of await redis.zrange(keys.open, '0', '-1'))
    if ((await redis.hget(keys.callPrefix + callId, 'v')) === String(format)) found.push(callId);
  return found;
}

const sideBySide: Row = {
  name: 'upgrade',
  promise:
    'two versions with formats of their own side by side, then only the old one, then only the new one: 0 lost',
  arena: { workers: 1, eventsPerSecond: 80 },
  async run(arena) {
    const build = await newerBuild();
    arena.atEnd(build.remove);
    const newer = () => arena.workerOf(build.cli);
    const [old] = arena.workers;
    let fresh = await newer();
    await eventually(
      'records of both formats',
      async () => (await openOf(arena, 1)).length > 0 && (await openOf(arena, 2)).length > 0,
      60_000,
    );
    await arena.sleep(arena.brief ? 5_000 : 20_000);
    // Back to the old one, with records of the newer left behind.
    fresh.signal('SIGKILL');
    await fresh.ended;
    const left = await openOf(arena, 2);
    await arena.sleep(arena.brief ? 5_000 : 15_000);
    const still = await openOf(arena, 2);
    arena.note(
      `${left.length} records of the newer format left behind, ${still.length} still there after a while`,
    );
    if (still.length !== left.length) arena.problem('the old version took records of a newer format');
    // And forward, with records of the older left behind.
    fresh = await newer();
    const sinceMs = performance.now();
    await eventually(
      'the newer works its own off',
      async () => {
        const open = new Set(await openOf(arena, 2));
        return left.every((callId) => !open.has(callId));
      },
      120_000,
    );
    arena.took('newer again', performance.now() - sinceMs);
    if (old !== undefined && !old.lines.some((line) => line.includes('of another version')))
      arena.problem('the old version does not say that it leaves records');
    arena.workers.push(fresh);
  },
};

export const upgradeRows: readonly Row[] = [sideBySide];
