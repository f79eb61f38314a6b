import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { fieldsOf } from '../../redis/script.ts';
import type { ImportCounts } from './import-files.ts';

/** How an import by somebody ended. Names no user. */
export interface EndedImport {
  /** The name of the file without its folder; `-` for standard input. */
  readonly file: string;
  /** `done`: all rows are added, rejected or have an account already. */
  readonly state: 'done' | 'interrupted' | 'failed';
  readonly counts: ImportCounts;
  /** Counts how the events of this import end (stream-writer.ts). */
  readonly tally: string;
}

export interface NotedImport extends EndedImport {
  /** Grows with time: the ID of the note in its stream. */
  readonly id: string;
  /** ms since 1970, Redis's clock. */
  readonly endedAt: number;
}

/** Imports that are remembered, for as long as their tallies. */
const KEPT = 50;
const LIFE_SECONDS = 30 * 86_400;

export async function noteImport(redis: RedisClient, keys: Keys, ended: EndedImport): Promise<void> {
  const note = JSON.stringify(ended);
  await redis.xadd(keys.imports, 'MAXLEN', '~', KEPT, '*', 'import', note);
  await redis.expire(keys.imports, LIFE_SECONDS);
}

/** The imports that ended after the one with this ID, oldest first. */
export async function importsAfter(redis: RedisClient, keys: Keys, id: string): Promise<NotedImport[]> {
  const notes = await redis.xrange(keys.imports, `(${id}`, '+', 'COUNT', KEPT);
  return notes.map(([noteId, fields]) => ({
    ...(JSON.parse(fieldsOf(fields).import ?? '{}') as EndedImport),
    id: noteId,
    endedAt: Number.parseInt(noteId, 10),
  }));
}
