/**
 * The commands that the simulator answers.
 *
 * Source: API reference, multiaccount_import (2025-04), account_import (current and legacy form),
 * register_account_v1, account_check, account_delete. A quota counts the calls per second of one SDKAppID.
 */
export type CommandName =
  | 'multiaccount_import'
  | 'account_import'
  | 'register_account_v1'
  | 'account_check'
  | 'account_delete';

export interface CommandFacts {
  readonly service: 'im_open_login_svc' | 'registration_service';
  /** Calls in any rolling second. */
  readonly quotaPerSecond: number;
  /** Accounts in one call. */
  readonly maxItems: number;
}

export const COMMANDS: Readonly<Record<CommandName, CommandFacts>> = {
  multiaccount_import: { service: 'im_open_login_svc', quotaPerSecond: 100, maxItems: 100 },
  // The legacy form (`Identifier`) documents 100, the current one (`UserID`) 200. See documentedQuotas.
  account_import: { service: 'im_open_login_svc', quotaPerSecond: 200, maxItems: 1 },
  register_account_v1: { service: 'registration_service', quotaPerSecond: 1000, maxItems: 1 },
  account_check: { service: 'im_open_login_svc', quotaPerSecond: 100, maxItems: 100 },
  account_delete: { service: 'im_open_login_svc', quotaPerSecond: 100, maxItems: 100 },
};

export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

export function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}
