import type { MessageKey } from '../i18n/en.ts';
import { t } from '../i18n/language.ts';
import type { ApiError } from './client.ts';

/** Codes that the page has its own words for: the server's say what happened in this one case. */
const KNOWN: Readonly<Record<string, MessageKey>> = {
  unreachable: 'error.unreachable',
  'redis-away': 'error.redis-away',
  'redis-full': 'error.redis-full',
  'redis-refuses': 'error.redis-refuses',
  'not-allowed': 'error.not-allowed',
  'wrong-token': 'error.wrong-token',
  'too-many': 'error.too-many',
  stopping: 'error.stopping',
};

/** What happened and what to do, for a person. */
export function errorWords({ code, message, advice, retryAfterS }: ApiError): string {
  const known = KNOWN[code];
  if (known !== undefined) return t(known, { seconds: Math.max(1, retryAfterS) });
  return advice === '' ? message : `${message} ${advice}`;
}
