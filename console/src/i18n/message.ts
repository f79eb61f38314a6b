/** Messages with parameters. Pure. */

export type Params = Readonly<Record<string, string | number>>;

/**
 * Fills `{name}`; a number is written as the language writes it. `{name|letter|letters}` chooses the first word
 * for 1 and the second for all else. A name without a parameter stays as it is, so that a test can see it.
 */
export function fill(message: string, params: Params, locale: string): string {
  return message.replace(
    /\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g,
    (whole, name: string, one?: string, other?: string) => {
      const value = params[name];
      if (value === undefined) return whole;
      if (one !== undefined && other !== undefined) return value === 1 ? one : other;
      return typeof value === 'number' ? number(value, locale) : value;
    },
  );
}

const formats = new Map<string, Intl.NumberFormat>();

/** At most one digit behind the point, and none from a hundred on. */
export function number(value: number, locale: string): string {
  const digits = Math.abs(value) < 100 ? 1 : 0;
  const name = `${locale} ${digits}`;
  let format = formats.get(name);
  if (format === undefined) {
    format = new Intl.NumberFormat(locale, { maximumFractionDigits: digits });
    formats.set(name, format);
  }
  return format.format(value);
}

/** The parameters that a message names, for comparing languages. */
export function namesIn(message: string): string[] {
  return [...new Set([...message.matchAll(/\{(\w+)/g)].map(([, name = '']) => name))].sort();
}
