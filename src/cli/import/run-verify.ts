import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import { requireForWorker } from '../../config/requirements.ts';
import type { UserInput } from '../../event/fields.ts';
import { type Backfill, needsOwnCall, openBackfill } from '../../tasks/backfill/connect.ts';
import { openRejectFile, type Reject } from '../../tasks/backfill/reject-file.ts';
import {
  type RowState,
  type VerifiedRow,
  type VerifyCounts,
  verifyRows,
} from '../../tasks/backfill/verify-rows.ts';
import { CliError, EXIT } from '../fail.ts';
import { onInterrupt } from '../interrupt.ts';
import { loadForCommand, readTextFile } from '../load-config.ts';
import { notReached } from '../with-redis.ts';
import { rulesOf } from './flags.ts';
import { openedRows, rowsError } from './rows-errors.ts';
import { createRowsHerald } from './rows-log.ts';
import type { RowsFlags } from './rows-options.ts';
import { grouped, startRowsProgress } from './rows-progress.ts';
import { openedText } from './text.ts';
import { watchRows } from './watched-rows.ts';

export interface VerifyFlags extends RowsFlags {
  readonly enqueueMissing?: boolean;
  readonly missingFile?: string;
  readonly json?: boolean;
}

/** Asks after the users of a file. Resolves to the exit code. */
export async function runVerify(file: string, flags: VerifyFlags, self: Command): Promise<number> {
  const { config } = loadForCommand(self);
  if (config.api.form === 'hosted')
    throw new CliError(
      EXIT.usage,
      'verify asks with account_check, which belongs to IMSYNC_API current and legacy; in hosted mode there is no such call. Import the file instead: registering an account twice changes nothing.',
    );
  if (flags.missingFile !== undefined && flags.missingFile === file)
    throw new CliError(EXIT.usage, `${file} is the file to be verified: name another --missing-file`);
  requireForWorker(config);
  const rows = await openedRows(file, flags);
  const progress = startRowsProgress('verify');
  const herald = createRowsHerald((text) => progress.say(text));
  const watched = watchRows(rows);
  let backfill: Backfill | undefined;
  const interruption = onInterrupt(() => {
    rows.close();
    backfill?.checks?.close();
  });
  const { signal } = interruption;
  const secret = rows.format === 'csv' ? rows.columns.get('password') : 'password';
  const shape = { format: rows.format, header: rows.header, secret };
  if (flags.missingFile !== undefined) await rm(flags.missingFile, { force: true });
  const missing = openRejectFile(flags.missingFile ?? '', shape, 0);
  try {
    progress.say(openedText(rows));
    const { report } = herald;
    const opened = await openBackfill({
      config,
      readFile: readTextFile,
      withChecks: true,
      signal,
      report,
    }).catch((error: Error) => {
      throw notReached(config, error);
    });
    backfill = opened;
    const isAlone = needsOwnCall(config.api.form);
    const writer = opened.writer();
    const enqueue = async (users: readonly UserInput[]): Promise<number> => {
      for (let from = 0; from < users.length; ) {
        const rest = users.slice(from);
        const room = await opened.limit.headroom(rest.length, (at) => isAlone(rest[at] as UserInput));
        await writer.write(rest.slice(0, room));
        from += room;
      }
      return users.length;
    };
    let done = 0;
    herald.watch(opened.hold, () => done);
    const { checks, redis, keys } = opened;
    if (checks === undefined) throw new RangeError('verify without account_check: a bug, please report it');
    const counts = await verifyRows({
      rows: watched.rows(),
      rules: rulesOf(config, flags),
      checks,
      redis,
      keys,
      onRows: async (found) => {
        if (flags.missingFile !== undefined) await missing.add(found.flatMap(notThere));
        if (!flags.enqueueMissing) return 0;
        return enqueue(found.flatMap(({ state, user }) => (state === 'missing' && user ? [user] : [])));
      },
      onProgress: (now) => {
        done = now.rows;
        progress.show({
          rows: now.rows,
          estimatedRows: watched.estimatedRows(),
          words: wordsOf(now, herald.words),
        });
      },
      signal,
    });
    progress.end();
    const complete = !signal.aborted;
    const warnings = watched.warnings();
    process.stdout.write(
      flags.json
        ? `${JSON.stringify({ file, complete, counts, missingFile: flags.missingFile, warnings })}\n`
        : summaryText(counts, warnings, flags, complete),
    );
    return interruption.exitCode ?? (counts.imported === counts.rows ? EXIT.done : EXIT.failed);
  } catch (error) {
    progress.end();
    throw rowsError(error, '');
  } finally {
    herald.close();
    interruption.release();
    rows.close();
    await missing.close();
    await backfill?.close();
  }
}

/** With line and reason before its own columns, as a reject stands: so it can be imported again. */
function notThere({ row, state, reason }: VerifiedRow): Reject[] {
  return state === 'imported' ? [] : [{ row, reason: reason ?? NAMES[state] }];
}

const NAMES: Readonly<Record<RowState, string>> = {
  imported: 'imported',
  'under-way': 'in a call',
  dead: 'in dead letters',
  missing: 'missing',
  unasked: 'not asked for',
  rejected: 'rejected',
};

function wordsOf(counts: VerifyCounts, obstacle: string): string {
  const missing = counts.missing + counts.dead + counts['under-way'];
  const parts = [`${grouped(counts.imported)} imported`, `${grouped(missing)} not`];
  return [...parts, ...(obstacle === '' ? [] : [obstacle])].join(', ');
}

function summaryText(
  counts: VerifyCounts,
  warnings: readonly string[],
  flags: VerifyFlags,
  complete: boolean,
): string {
  const lines: [string, number, string][] = [
    ['rows', counts.rows, complete ? '' : 'so far: it was stopped'],
    ['imported', counts.imported, ''],
    ['in a call', counts['under-way'], 'look again in a moment'],
    ['dead letters', counts.dead, 'see imsync dlq list'],
    ['missing', counts.missing, missingNote(counts, flags)],
    ['not asked for', counts.unasked, 'the API does not say'],
    ['rejected', counts.rejected, 'cannot be imported as they stand; --missing-file says why'],
  ];
  const width = grouped(counts.rows).length;
  return `${[
    ...warnings.map((warning) => `Warning: ${warning}`),
    ...lines.flatMap(([name, count, note], at) =>
      at > 1 && count === 0 && name !== 'missing'
        ? []
        : [`${name.padEnd(15)}${grouped(count).padStart(width)}${note === '' ? '' : `  ${note}`}`],
    ),
  ].join('\n')}\n`;
}

function missingNote(
  { missing, enqueued }: VerifyCounts,
  { enqueueMissing, missingFile }: VerifyFlags,
): string {
  if (missing === 0) return '';
  if (enqueueMissing) return `${grouped(enqueued)} of them added: verify again when they are imported`;
  return missingFile === undefined ? 'imsync import makes them, or --enqueue-missing' : `in ${missingFile}`;
}
