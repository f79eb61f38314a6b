import type { ApiForm } from '../config/config.ts';

/**
 * Why an API form makes no robots, and the way out; undefined where it makes them, or where the form is not known.
 * Type stands in one call only: account_import in its old form (API reference, account_import, old form). Sent without
 * it, a robot would become an ordinary account, and nobody would be told.
 */
export function whyNoRobots(form: ApiForm | undefined): string | undefined {
  switch (form) {
    case 'current':
      return (
        'the current form of account_import has no Type, so that an ordinary account would be made: set ' +
        "IMSYNC_API=legacy (account_import with Identifier and Type), or use the provider's own call for robots"
      );
    case 'hosted':
      return "register_account_v1 has no Type, so that an ordinary account would be made: use the provider's own call for robots";
    default:
      return undefined;
  }
}
