import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  identityOf,
  newCheckpoint,
  RejectFile,
  readCheckpoint,
  writeCheckpoint,
} from '../../src/tasks/backfill/import-files.ts';
import { openRows, type ReadOptions } from '../../src/tasks/rows/open-rows.ts';

/** The files that an import reads and writes, without a process and without Redis. */

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

const place = (name: string): string => join(folder, name);

describe('the checkpoint', () => {
  test('is read as it was written, is readable by its owner only, and leaves no other file', async () => {
    const path = place('users.csv.imsync-checkpoint');
    expect(await readCheckpoint(path, 'i')).toBeUndefined();
    const checkpoint = { ...newCheckpoint('i'), rows: 1_234, rejectBytes: 99 };
    await writeCheckpoint(path, checkpoint);
    await writeCheckpoint(path, { ...checkpoint, rows: 1_300 });
    expect(await readCheckpoint(path, 'i')).toMatchObject({ ...checkpoint, rows: 1_300 });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['users.csv.imsync-checkpoint']);
  });

  test('of another file, or incomplete, is refused with advice', async () => {
    const path = place('c');
    await writeCheckpoint(path, newCheckpoint('one'));
    await expect(readCheckpoint(path, 'another')).rejects.toThrow(/another file.*--restart/);
    await writeFile(path, '{"format":1,"row');
    await expect(readCheckpoint(path, 'one')).rejects.toThrow(
      /no checkpoint that this version can read.*--restart/,
    );
  });

  test('that cannot be written is reported with advice', async () => {
    await expect(writeCheckpoint(place('no/such/folder'), newCheckpoint('i'))).rejects.toThrow(
      /cannot be written.*--checkpoint FILE/,
    );
  });

  test('identifies its input by size, first and last bytes and options, not by name', async () => {
    const middle = 'x'.repeat(200_000);
    const write = async (name: string, text: string): Promise<string> => {
      await writeFile(place(name), text);
      return place(name);
    };
    const one = await identityOf(await write('a', `head${middle}tail`), ['o']);
    expect(await identityOf(await write('b', `head${middle}tail`), ['o'])).toBe(one);
    for (const [text, options] of [
      [`HEAD${middle}tail`, ['o']],
      [`head${middle}TAIL`, ['o']],
      [`head${middle}tail+`, ['o']],
      [`head${middle}tail`, ['p']],
    ] as const)
      expect(await identityOf(await write('c', text), options)).not.toBe(one);
  });
});

describe('the reject file', () => {
  const shape = { format: 'csv', header: ['id'], secret: undefined } as const;
  const reject = (line: number) => ({ row: { line, user: {}, raw: [`u${line}`] }, reason: 'bad' });

  test('is created at the first reject; an import that continues writes each row once', async () => {
    const path = place('r.csv');
    const first = new RejectFile(path, shape, 0);
    await first.add([]);
    await first.close();
    expect(await readdir(folder)).toEqual([]);

    const second = new RejectFile(path, shape, 0);
    await second.add([reject(2), reject(3)]);
    const saved = second.bytes;
    // This row was written after the checkpoint, before the import was killed.
    await second.add([reject(4)]);
    await second.close();
    await appendFile(path, '5,b');
    const third = new RejectFile(path, shape, saved);
    await third.add([reject(4)]);
    await third.close();
    expect(await readFile(path, 'utf8')).toBe('line,reason,id\n2,bad,u2\n3,bad,u3\n4,bad,u4\n');
  });

  test('is created again when it was removed in the meantime', async () => {
    const file = new RejectFile(place('gone.csv'), shape, 500);
    await file.add([reject(9)]);
    await file.close();
    expect(await readFile(place('gone.csv'), 'utf8')).toBe('line,reason,id\n9,bad,u9\n');
  });
});

describe('the kind of a file is recognized', () => {
  async function ids(name: string, content: string | Buffer, options: Partial<ReadOptions> = {}) {
    await writeFile(place(name), content);
    const open = await openRows(place(name), { mapping: {}, header: true, quotes: true, ...options });
    const found: unknown[] = [];
    for await (const { user } of open.rows()) found.push(user.userId);
    return { found, open };
  }
  const many = (count: number) => Array.from({ length: count }, (_, i) => `u${i}`);

  test('gzip by its first bytes, with several members, under any name', async () => {
    const text = `id\n${many(20_000).join('\n')}\n`;
    const half = Math.floor(text.length / 2);
    const packed = Buffer.concat([gzipSync(text.slice(0, half)), gzipSync(text.slice(half))]);
    const { found, open } = await ids('users.csv', packed);
    expect(found).toEqual(many(20_000));
    expect(open.bytes).toMatchObject({ isGzip: true, readBytes: packed.length, totalBytes: packed.length });
  });

  test('a gzip file that is cut off fails after its complete rows', async () => {
    const packed = gzipSync(`id\n${many(20_000).join('\n')}\n`);
    await expect(ids('cut.csv.gz', packed.subarray(0, packed.length - 100))).rejects.toThrow(
      /damaged or cut off/,
    );
  });

  test.each([
    ['empty.csv', '', /is empty/],
    ['blank.csv', '\n\n', /holds no rows/],
    ['list.json', '[{"userId":"a"}]', /JSON list.*jq/],
    ['cut.csv.gz', gzipSync('userId\nu1\n'.repeat(50_000)).subarray(0, 100), /damaged or cut off/],
  ])('%s is refused with advice', async (name, content, message) => {
    await expect(ids(name, content)).rejects.toThrow(message);
  });

  test('a file that does not exist and a folder are refused', async () => {
    const options = { mapping: {}, header: true, quotes: true };
    await expect(openRows(place('nowhere.csv'), options)).rejects.toThrow(/nowhere\.csv cannot be read/);
    await expect(openRows(folder, options)).rejects.toThrow('is a folder');
  });

  test('NDJSON by its name or its first character, unless the format is given', async () => {
    expect((await ids('a.jsonl', '{"userId":"u0"}\n')).found).toEqual(['u0']);
    expect((await ids('b', '\n{"userId":"u0"}\n')).found).toEqual(['u0']);
    expect((await ids('c.json', 'id\nu0\n', { format: 'csv' })).found).toEqual(['u0']);
  });

  test('separators, a byte order mark and a missing header are handled', async () => {
    expect((await ids('a.csv', '\uFEFFnick;id\r\nAnn;u0\r\n')).found).toEqual(['u0']);
    expect((await ids('b.tsv', 'nick\tid\nAnn, B\tu0\n')).found).toEqual(['u0']);
    const { found } = await ids('c.csv', 'Ann,u0\nBob,u1\n', { header: false, mapping: { userId: '2' } });
    expect(found).toEqual(['u0', 'u1']);
  });
});
