import type { ApiForm, CommandName } from '../config/config.ts';

export type { ApiForm, CommandName };

interface Command {
  /** The path segment before the command: /v4/{service}/{name}. */
  readonly service: 'im_open_login_svc' | 'registration_service';
  readonly maxItems: number;
  /** Documented calls per second by API form. A form without the command has no entry. */
  readonly perSecond: Readonly<Partial<Record<ApiForm, number>>>;
  /** The source of the size and the rates. */
  readonly source: string;
}

/**
 * The commands with their documented sizes and rates (API reference, by command). account_check and
 * account_delete belong to every form, since they do not depend on how an account was imported.
 */
export const COMMANDS: Readonly<Record<CommandName, Command>> = {
  multiaccount_import: {
    service: 'im_open_login_svc',
    maxItems: 100,
    perSecond: { current: 100, legacy: 100 },
    source: 'API reference, multiaccount_import, 2025-04 and its older edition',
  },
  account_import: {
    service: 'im_open_login_svc',
    maxItems: 1,
    perSecond: { current: 200, legacy: 100 },
    source: 'API reference, account_import: new form 200 calls a second, old form 100',
  },
  account_check: {
    service: 'im_open_login_svc',
    maxItems: 100,
    perSecond: { current: 100, legacy: 100, hosted: 100 },
    source: 'API reference, account_check',
  },
  account_delete: {
    service: 'im_open_login_svc',
    maxItems: 100,
    perSecond: { current: 100, legacy: 100, hosted: 100 },
    source: 'API reference, account_delete',
  },
  register_account_v1: {
    service: 'registration_service',
    maxItems: 1,
    perSecond: { hosted: 1000 },
    source: 'API reference, register_account_v1 (hosted mode, retired by the provider)',
  },
};

/**
 * The documented calls per second of a command. Throws a RangeError if the form does not have the command.
 */
export function documentedPerSecond(form: ApiForm, command: CommandName): number {
  const perSecond = COMMANDS[command].perSecond[form];
  if (perSecond === undefined) throw new RangeError(`the ${form} form has no call ${command}`);
  return perSecond;
}
