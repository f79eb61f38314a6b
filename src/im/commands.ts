import type { ApiForm, CommandName } from '../config/config.ts';

export type { ApiForm, CommandName };

interface Command {
  /** The path segment before the command: /v4/{service}/{name}. */
  readonly service: 'im_open_login_svc' | 'registration_service';
  /** Documented calls per second by API form. A form without the command has no entry. */
  readonly perSecond: Readonly<Partial<Record<ApiForm, number>>>;
}

/**
 * The commands with their documented rates (API reference, by command). account_check and
 * account_delete belong to every form, since they do not depend on how an account was imported.
 */
export const COMMANDS: Readonly<Record<CommandName, Command>> = {
  multiaccount_import: {
    service: 'im_open_login_svc',
    perSecond: { current: 100, legacy: 100 },
  },
  account_import: {
    service: 'im_open_login_svc',
    perSecond: { current: 200, legacy: 100 },
  },
  account_check: {
    service: 'im_open_login_svc',
    perSecond: { current: 100, legacy: 100, hosted: 100 },
  },
  account_delete: {
    service: 'im_open_login_svc',
    perSecond: { current: 100, legacy: 100, hosted: 100 },
  },
  register_account_v1: {
    service: 'registration_service',
    perSecond: { hosted: 1000 },
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
