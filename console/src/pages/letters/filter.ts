import { type Filter, letterStates, reasons } from '../../api/types.ts';
import { duration } from '../../i18n/duration.ts';
import { named, t } from '../../i18n/language.ts';

/** The filter of a list as the address of the page has it. Pure, but for the words. */

export interface LetterQuery {
  readonly state: string;
  readonly filter: Filter;
}

type Query = Readonly<Record<string, string>>;

/** What an address does not name, or names wrongly, restricts nothing. */
export function readQuery({
  state = 'dead',
  reason,
  code,
  user,
  olderThanMs,
  newerThanMs,
}: Query): LetterQuery {
  return {
    state: oneOf(letterStates, state) ?? 'dead',
    filter: {
      ...(oneOf(reasons, reason) !== undefined && { reason }),
      ...given('code', wholeNumber(code)),
      ...(user !== undefined && user !== '' && { user }),
      ...given('olderThanMs', wholeNumber(olderThanMs)),
      ...given('newerThanMs', wholeNumber(newerThanMs)),
    },
  };
}

export function isEmptyFilter(filter: Filter): boolean {
  return Object.keys(filter).length === 0;
}

/** The filter in words: what an act is about. */
export function scopeWords({ state, filter }: LetterQuery): string {
  const { reason, code, user, olderThanMs, newerThanMs } = filter;
  const parts = [
    ...(reason === undefined ? [] : [`${t('filter.reason')}: ${named('reason.', reason)}`]),
    ...(code === undefined ? [] : [`${t('filter.code')}: ${code}`]),
    ...(user === undefined ? [] : [`${t('filter.user')}: ${user}`]),
    ...(olderThanMs === undefined ? [] : [t('filter.olderThan', { age: duration(olderThanMs) })]),
    ...(newerThanMs === undefined ? [] : [t('filter.newerThan', { age: duration(newerThanMs) })]),
  ];
  const which =
    state === 'dead' ? t('filter.scope') : t('filter.scopeState', { state: named('letterState.', state) });
  return parts.length === 0 ? t('filter.all', { which }) : `${which}: ${parts.join(' · ')}`;
}

function oneOf<T extends string>(known: readonly T[], word: string | undefined): T | undefined {
  return known.find((one) => one === word);
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

function given(name: keyof Filter, value: number | undefined): Filter {
  return value === undefined ? {} : { [name]: value };
}
