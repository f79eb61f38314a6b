import { createHash, randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';

/**
 * How far an import has come: a small file, written whole or not at all. It is written after Redis has
 * acknowledged the rows, so a resumed import skips none. Rows added since the last write are added again,
 * which does no harm.
 */
export interface Checkpoint {
  /** Identifies the input, and the options that decide what its rows mean. */
  readonly identity: string;
  /** Rows that are done, from the beginning of the file. */
  readonly rows: number;
  /** Bytes of the reject file that belong to these rows. */
  readonly rejectBytes: number;
  readonly counts: ImportCounts;
  /** The name of this import's tally (tally.ts). */
  readonly tally: string;
}

/** What became of the rows so far. `rows` is the sum of the others. */
export interface ImportCounts {
  readonly rows: number;
  readonly rejected: number;
  /** Not added: the account exists already. */
  readonly there: number;
  /** Not added: the API does not say whether the account exists. The reject file has these rows, too. */
  readonly unasked: number;
  readonly added: number;
}

export const NO_COUNTS: ImportCounts = { rows: 0, rejected: 0, there: 0, unasked: 0, added: 0 };

const FORMAT = 1;
const EDGE_BYTES = 65_536;

/** A checkpoint cannot be read or written, or belongs to another import. The message says what to do. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/**
 * Identifies an input by its size and its first and last 64 KiB. Name and date do not count: a copy is the
 * same file.
 */
export async function identityOf(path: string, options: unknown): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const hash = createHash('sha256').update(`${size} ${JSON.stringify(options)} `);
    for (const from of [0, Math.max(0, size - EDGE_BYTES)]) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(EDGE_BYTES), 0, EDGE_BYTES, from);
      hash.update(buffer.subarray(0, bytesRead));
    }
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}

export function newCheckpoint(identity: string): Checkpoint {
  return { identity, rows: 0, rejectBytes: 0, counts: NO_COUNTS, tally: `import-${randomUUID()}` };
}

/**
 * Reads the checkpoint at `path`; undefined without one. Throws CheckpointError for one of another import.
 */
export async function readCheckpoint(path: string, identity: string): Promise<Checkpoint | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CheckpointError(`${path} cannot be read: ${(error as Error).message}.`);
  }
  const restart = 'To start over: --restart (rows that were added are added again, which does no harm).';
  let read: (Checkpoint & { readonly format: number }) | undefined;
  try {
    read = JSON.parse(text);
  } catch {
    // Reported below.
  }
  if (read?.format !== FORMAT || typeof read.rows !== 'number')
    throw new CheckpointError(`${path} is no checkpoint that this version can read. ${restart}`);
  if (read.identity !== identity)
    throw new CheckpointError(
      `${path} belongs to an import of another file, of another app or with other options. To go on with that one, give the same options. ${restart}`,
    );
  return read;
}

export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const unfinished = `${path}.unfinished`;
  try {
    const file = await open(unfinished, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify({ format: FORMAT, ...checkpoint }));
      // Synced before the rename: after a power cut the old checkpoint is still whole.
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch (error) {
    throw new CheckpointError(
      `The checkpoint ${path} cannot be written: ${(error as Error).message}. Name a place for it: --checkpoint FILE.`,
    );
  }
}

export async function removeCheckpoint(path: string): Promise<void> {
  await rm(path, { force: true });
}
