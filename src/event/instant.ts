const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;
/** The last instant that a JavaScript date can hold. */
const MAX_MS = 8_640_000_000_000_000;

/**
 * Reads when an event happened, in any form that a producer may give. Returns milliseconds since 1970, or
 * undefined if the value is no instant.
 */
export function readOccurredAtMs(value: unknown): number | undefined {
  if (typeof value === 'string') return readInstantMs(value);
  if (typeof value === 'number') return readInstantMs(String(value));
  return value instanceof Date ? readInstantMs(String(value.getTime())) : undefined;
}

/**
 * Reads an RFC 3339 time or a whole number of milliseconds since 1970. Returns undefined for anything else,
 * also for dates that do not exist and times before 1970. Fractions below a millisecond are cut off. A leap
 * second counts as the second after it.
 */
export function readInstantMs(text: string): number | undefined {
  if (/^\d{1,16}$/.test(text)) return within(Number(text));
  const parts = rfc3339.exec(text);
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const offsetHours = Number(parts[9] ?? 0);
  const offsetMinutes = Number(parts[10] ?? 0);
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) return undefined;
  const ms = Number((parts[7] ?? '').padEnd(3, '0').slice(0, 3));
  const offsetMs = (parts[8] === '-' ? -1 : 1) * (offsetHours * 60 + offsetMinutes) * 60_000;
  return within(Date.UTC(year, month - 1, day, hour, minute, second, ms) - offsetMs);
}

function within(ms: number): number | undefined {
  return ms >= 0 && ms <= MAX_MS ? ms : undefined;
}

function daysInMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
