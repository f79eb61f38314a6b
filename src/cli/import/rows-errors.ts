import { CheckpointError } from '../../tasks/backfill/checkpoint.ts';
import { ChecksRefusedError } from '../../tasks/checks/check-call.ts';
import { type OpenRows, openRows } from '../../tasks/rows/open-rows.ts';
import { UnreadableRowsError } from '../../tasks/rows/read-text.ts';
import { CliError, EXIT } from '../fail.ts';
import { type RowsFlags, readOptionsOf } from './rows-options.ts';

/** Opens the file; throws a CliError for one that is not what it should be. */
export async function openedRows(file: string, flags: RowsFlags): Promise<OpenRows> {
  try {
    return await openRows(file, readOptionsOf(flags));
  } catch (error) {
    throw error instanceof UnreadableRowsError ? new CliError(EXIT.usage, error.message) : error;
  }
}

/** What broke a verb over a file off, with its exit code. `otherwise`: what to do where the API refuses to answer. */
export function rowsError(error: unknown, otherwise: string): unknown {
  if (error instanceof UnreadableRowsError || error instanceof CheckpointError)
    return new CliError(EXIT.failed, error.message);
  if (error instanceof ChecksRefusedError)
    return new CliError(
      EXIT.outOfReach,
      `The API does not say who is there: ${error.message}. Find out why with imsync doctor${otherwise}.`,
    );
  return error;
}
