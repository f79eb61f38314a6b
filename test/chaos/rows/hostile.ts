import type { Rule } from '../../../simulator/scenario/scenario.ts';
import { parseMetrics } from '../../support/metrics.ts';
import type { Arena } from '../arena.ts';
import type { Fate } from '../flow.ts';
import type { Row } from '../row.ts';

/** Entries and answers that are meant to do harm. */

const invalid: Fate = { reason: 'invalid', errorCode: 0 };

async function look(arena: Arena): Promise<{ megabytes: number; series: number }> {
  let megabytes = 0;
  let series = 0;
  for (const worker of arena.workers) {
    const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
    const text = await (await fetch(`${url}/metrics`)).text();
    megabytes = Math.max(megabytes, (parseMetrics(text).value('process_resident_memory_bytes') ?? 0) / 1e6);
    series = Math.max(series, text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length);
  }
  return { megabytes, series };
}

const entries: Row = {
  name: 'hostile-entries',
  promise:
    'malformed, hostile, binary and huge (1 MB) entries: dead-lettered, memory bounded, the loop goes on',
  arena: { workers: 2 },
  async run(arena) {
    const { flow, random, brief } = arena;
    const before = await look(arena);
    const bytes = (length: number): Buffer =>
      Buffer.from(Array.from({ length }, () => Math.floor(256 * random())));
    const huge = 'n'.repeat(1_000_000);
    const many = Array.from({ length: 3_000 }, (_, i) => [`f${i}`, 'v'.repeat(30)]).flat();
    const made: (() => readonly [
      user: string,
      nick: string,
      fields: readonly (string | Buffer)[],
      fate: Fate,
    ])[] = [
      () => ['', '', ['userId', bytes(16), 'nick', bytes(100)], invalid],
      () => ['', '', [bytes(10), bytes(1_000)], invalid],
      () => ['', '', ['userId', `a\r\nXADD ${Math.floor(1e6 * random())}`], invalid],
      () => ['', '', ['userId', 'u'.repeat(100_000)], invalid],
      () => ['', '', ['userId', huge], invalid],
      () => [`h${Math.floor(1e6 * random())}`, '', [], invalid],
      () => ['', '', ['__proto__', 'x', 'constructor', 'y'], invalid],
      () => ['', '', ['userId', '@TIM#system'], invalid],
      () => ['', '', ['userId', 'administrator'], invalid],
      () => ['', '', ['userId', '{"$ne":1}\u0000'], invalid],
    ];
    // Those that name a user of their own: whole, if their ID is an ID; dead if they say something that cannot be.
    const own: ((id: string) => readonly [fields: readonly (string | Buffer)[], fate: Fate])[] = [
      (id) => [['userId', id, 'nick', huge], invalid],
      (id) => [['userId', id, 'more', huge], invalid],
      (id) => [['userId', id, ...many], invalid],
      (id) => [['userId', id, 'nick', bytes(50)], invalid],
      (id) => [['userId', id, 'type', '__proto__'], invalid],
      (id) => [['userId', id, 'occurredAt', '9'.repeat(400)], invalid],
      (id) => [['userId', id, 'nick', `n-${id}`, 'unheard-of', 'travels along'], null],
    ];
    for (let i = 0; i < (brief ? 60 : 600); i++) {
      const kind = Math.floor(random() * (made.length + own.length));
      const foreign = made[kind];
      if (foreign !== undefined) {
        const [user, nick, fields, fate] = foreign();
        // An entry without any field cannot be: it names only its user.
        await flow.push(user, nick, fields.length > 0 ? fields : ['type', '9', 'userId', user], fate);
        continue;
      }
      const id = ['__proto__', 'constructor', 'toString'][i % 7] ?? `x${i}`;
      const [fields, fate] = own[kind - made.length]?.(id) ?? [[], invalid];
      await flow.push(id, `n-${id}`, fields, fate);
    }
    await arena.sleep(brief ? 2_000 : 10_000);
    const after = await look(arena);
    arena.note(
      `${before.megabytes.toFixed(0)} MB before, ${after.megabytes.toFixed(0)} MB after; ${after.series} series`,
    );
    if (after.megabytes - before.megabytes > 300) arena.problem('memory grew by more than 300 MB');
  },
};

const CODES = 190;

const codes: Row = {
  name: 'hostile-codes',
  promise:
    '190 codes that no table lists: dead-lettered as unknown, metrics and memory bounded, nobody held for long',
  arena: { workers: 2 },
  async run(arena) {
    const before = await look(arena);
    const rules = Array.from(
      { length: CODES },
      (_, i): Rule => ({ match: { userIds: [`odd-${i}`] }, action: { accountCode: 910_000 + i } }),
    );
    arena.faults({ rules, badAccountsInBatch: 'fail-accounts' });
    for (let i = 0; i < CODES; i++) {
      const nick = `n-${i}`;
      const fate = { reason: 'unknown', errorCode: 910_000 + i };
      await arena.flow.push(`odd-${i}`, nick, ['userId', `odd-${i}`, 'nick', nick], fate);
      if (i % 5 === 0) await arena.sleep(50);
    }
    await arena.untilDead('unknown', CODES);
    const after = await look(arena);
    arena.note(`${before.series} series before, ${after.series} after; ${after.megabytes.toFixed(0)} MB`);
    // Some appear with the first call and the first letter; a series a code would be 190.
    if (after.series > before.series + 100)
      arena.problem(`metrics grew from ${before.series} to ${after.series} series`);
    arena.faults({});
  },
};

export const hostileRows: readonly Row[] = [entries, codes];
