import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { ratePerSecond } from '../../pace/budget.ts';
import { commandPair, quotaOf } from '../../pace/quotas.ts';
import { needsOwnCall } from '../../tasks/backfill/connect.ts';
import { dryRun } from '../../tasks/backfill/validate-rows.ts';
import { EXIT } from '../fail.ts';
import { onInterrupt } from '../interrupt.ts';
import { loadForCommand } from '../load-config.ts';
import { type ImportFlags, rulesOf } from './flags.ts';
import { openedRows, rowsError } from './rows-errors.ts';
import { startRowsProgress } from './rows-progress.ts';
import { dryRunText, openedText } from './text.ts';
import { watchRows } from './watched-rows.ts';

/** Reads everything; needs neither Redis nor the API. Resolves to the exit code. */
export async function runDryRun(file: string, flags: ImportFlags, self: Command): Promise<number> {
  const { config } = loadForCommand(self);
  const rows = await openedRows(file, flags);
  const progress = startRowsProgress('dry run');
  const interruption = onInterrupt(() => rows.close());
  const watched = watchRows(rows);
  try {
    progress.say(openedText(rows));
    const found = await dryRun(
      watched.rows(),
      rulesOf(config, flags),
      needsOwnCall(config.api.form),
      (done) =>
        progress.show({ rows: done, estimatedRows: watched.estimatedRows(), words: 'nothing is changed' }),
      interruption.signal,
    );
    progress.end();
    const warnings = watched.warnings();
    const seconds = secondsAtQuota(config, found.valid - found.alone, found.alone);
    process.stdout.write(
      flags.json
        ? `${JSON.stringify({ file, dryRun: true, ...found, warnings, secondsAtQuota: seconds })}\n`
        : dryRunText(found, warnings, seconds),
    );
    return interruption.exitCode ?? (found.rejected > 0 ? EXIT.failed : EXIT.done);
  } catch (error) {
    // A file that is closed while it is read breaks off.
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    throw rowsError(error, '');
  } finally {
    progress.end();
    interruption.release();
    rows.close();
  }
}

function secondsAtQuota(config: Config, together: number, alone: number): number {
  const { batch, single } = commandPair(config.api.form);
  const perSecond = (command: typeof batch): number => ratePerSecond(quotaOf(config, command));
  return together / (perSecond(batch) * config.batch.maxSize) + alone / perSecond(single);
}
