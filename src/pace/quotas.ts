import type { Config } from '../config/config.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { type CommandName, documentedPerSecond } from '../im/commands.ts';
import type { Quota } from './budget.ts';

/** The import calls of an API form: one that carries many accounts, and one that carries a single one. */
export interface CommandPair {
  readonly batch: ImportCommand;
  readonly single: ImportCommand;
}

export function commandPair(form: Config['api']['form']): CommandPair {
  return form === 'hosted'
    ? { batch: 'register_account_v1', single: 'register_account_v1' }
    : { batch: 'multiaccount_import', single: 'account_import' };
}

/** The quota of a command: as configured, else as documented for the API form. */
export function quotaOf(config: Config, command: CommandName): Quota {
  return {
    perSecond: config.quota.perSecond[command] ?? documentedPerSecond(config.api.form, command),
    share: config.quota.share,
    margin: config.quota.margin,
  };
}

/** Quotas of all import calls that this configuration makes. */
export function quotasOf(config: Config): Readonly<Partial<Record<ImportCommand, Quota>>> {
  const { batch, single } = commandPair(config.api.form);
  return { [batch]: quotaOf(config, batch), [single]: quotaOf(config, single) };
}
