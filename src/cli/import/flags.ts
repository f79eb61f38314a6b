import type { Config } from '../../config/config.ts';
import {
  type Checkpoint,
  identityOf,
  newCheckpoint,
  readCheckpoint,
} from '../../tasks/backfill/checkpoint.ts';
import type { RowRules } from '../../tasks/backfill/validate-rows.ts';
import { CliError, EXIT } from '../fail.ts';
import type { RowsFlags } from './rows-options.ts';

export interface ImportFlags extends RowsFlags {
  readonly update?: boolean;
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  readonly rejects?: string;
  readonly checkpoint?: string;
  readonly restart?: boolean;
  readonly skipRows: number;
  readonly json?: boolean;
}

/** What does not go together. Throws CliError. */
export function checkImport(file: string, flags: ImportFlags): void {
  if (file === '-' && flags.checkpoint !== undefined)
    throw new CliError(
      EXIT.usage,
      'standard input cannot be read again, so a checkpoint is of no use: to go on, give the same input and --skip-rows',
    );
  for (const own of [flags.rejects, flags.checkpoint])
    if (own !== undefined && own === file)
      throw new CliError(EXIT.usage, `${own} is the file to be imported: name another one`);
}

export function rulesOf(config: Config, flags: RowsFlags): RowRules {
  return {
    adminId: config.app.adminId,
    form: config.api.form,
    allowMangled: flags.allowMangled === true,
  };
}

/** Where an import keeps what it writes. `checkpoint`: undefined for standard input. */
export interface Places {
  readonly rejects: string;
  readonly checkpoint: string | undefined;
}

export function placesOf(file: string, flags: ImportFlags, format: 'csv' | 'ndjson'): Places {
  const base = file === '-' ? 'imsync-import' : file;
  return {
    rejects: flags.rejects ?? `${base}.rejects.${format}`,
    checkpoint: file === '-' ? undefined : (flags.checkpoint ?? `${file}.imsync-checkpoint`),
  };
}

/** Where the import begins, or goes on. Throws CheckpointError. */
export async function beginning(
  file: string,
  flags: ImportFlags,
  config: Config,
  { checkpoint }: Places,
): Promise<Checkpoint> {
  const { map, format, delimiter, encoding, header, quotes, allowMangled, update, skipRows } = flags;
  if (checkpoint === undefined) return { ...newCheckpoint(''), rows: skipRows };
  const reading = [map, format, delimiter, encoding, header, quotes, allowMangled, skipRows];
  const identity = await identityOf(file, [config.app.sdkAppId, update === true, ...reading]);
  const found = flags.restart ? undefined : await readCheckpoint(checkpoint, identity);
  return found ?? { ...newCheckpoint(identity), rows: skipRows };
}

/** To whoever stopped it. */
export function resumeText(file: string, rows: number): string {
  const how =
    file === '-' ? `give the same input again, with --skip-rows ${rows}` : 'run the same command again';
  return `Stopped after row ${rows}. To go on: ${how}.`;
}
