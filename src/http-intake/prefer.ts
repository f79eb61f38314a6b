/** The longest that a request can ask to wait for outcomes. */
export const MAX_WAIT_SECONDS = 30;

/**
 * The seconds of `Prefer: wait=2` (RFC 7240), at most MAX_WAIT_SECONDS; undefined when the header asks for no wait
 * or its value is none. Of several the first counts. Pure.
 */
export function waitSecondsOf(prefer: string | readonly string[] | undefined): number | undefined {
  const all = typeof prefer === 'string' ? prefer : (prefer ?? []).join(',');
  for (const preference of all.split(',')) {
    const [name = '', value = ''] = (preference.split(';', 1)[0] ?? '').split('=', 2);
    if (name.trim().toLowerCase() !== 'wait') continue;
    const seconds = /^"?(\d{1,9})"?$/.exec(value.trim())?.[1];
    return seconds === undefined ? undefined : Math.min(Number(seconds), MAX_WAIT_SECONDS);
  }
  return undefined;
}
