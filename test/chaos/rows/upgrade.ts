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

async function formats({ redis, keys }: Arena): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const callId of await redis.zrange(keys.open, '0', '-1')) {
    const v = (await redis.hget(keys.callPrefix + callId, 'v')) ?? 'gone';
    found[v] = (found[v] ?? 0) + 1;
  }
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
      async () => {
        const found = await formats(arena);
        return (found['1'] ?? 0) > 0 && (found['2'] ?? 0) > 0;
      },
      60_000,
    );
    await arena.sleep(arena.brief ? 5_000 : 20_000);
    // Back to the old one, with records of the newer left behind.
    fresh.signal('SIGKILL');
    await fresh.ended;
    const left = (await formats(arena))['2'] ?? 0;
    await arena.sleep(arena.brief ? 5_000 : 20_000);
    const still = (await formats(arena))['2'] ?? 0;
    arena.note(`${left} records of the newer format left behind, ${still} still there`);
    if (still !== left)
      arena.problem(`of ${left} records of a newer format ${still} are left: the old version took them`);
    // And forward, with records of the older left behind.
    fresh = await newer();
    const sinceMs = performance.now();
    await eventually(
      'the newer works its own off',
      async () => ((await formats(arena))['2'] ?? 0) < left || left === 0,
      90_000,
    );
    arena.took('newer again', performance.now() - sinceMs);
    await arena.sleep(arena.brief ? 2_000 : 10_000);
    if (old !== undefined && !old.lines.some((line) => line.includes('of another version')))
      arena.problem('the old version does not say that it leaves records');
    arena.workers.push(fresh);
  },
};

export const upgradeRows: readonly Row[] = [sideBySide];
