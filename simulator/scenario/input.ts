/**
 * Invalid JSON from a user: an option, a scenario or a body of the control API.
 * The message is one sentence that names the place. The checks of this file throw it.
 */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput';
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads one value. `place` names it in the message of an InvalidInput. */
type Reader<T> = (value: unknown, place: string) => T;
export type Readers<T> = { readonly [K in keyof T]-?: Reader<Exclude<T[K], undefined>> };

/** Reads an object that has no other fields than those of `readers`. Each of them may be absent. */
export function fieldsAt<T>(value: unknown, place: string, readers: Readers<T>): Partial<T> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInput(`${place} must be a JSON object.`);
  }
  const unknown = Object.keys(value).find((key) => !Object.hasOwn(readers, key));
  if (unknown !== undefined) {
    const known = Object.keys(readers).join(', ');
    throw new InvalidInput(`${place} has the unknown key ${JSON.stringify(unknown)}; known keys: ${known}.`);
  }
  return someFieldsAt(value as Fields, place, readers);
}

/** Reads the fields of `readers` that are present, and ignores others. */
export function someFieldsAt<T>(fields: Fields, place: string, readers: Readers<T>): Partial<T> {
  const names = Object.keys(readers) as (keyof T & string)[];
  const present = names.filter((name) => fields[name] !== undefined);
  return Object.fromEntries(
    present.map((name) => [name, readers[name](fields[name], `${place}.${name}`)]),
  ) as Partial<T>;
}

export function listAt(value: unknown, place: string, maxLength: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new InvalidInput(`${place} must be a list.`);
  if (value.length > maxLength) throw new InvalidInput(`${place} has more than ${maxLength} entries.`);
  return value;
}

export function textAt(value: unknown, place: string, maxLength: number): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > maxLength) {
    throw new InvalidInput(`${place} must be a text of 1 to ${maxLength} characters.`);
  }
  return value;
}

export function textsAt(value: unknown, place: string, maxEntries: number, maxLength: number): string[] {
  return listAt(value, place, maxEntries).map((entry, i) => textAt(entry, `${place}[${i}]`, maxLength));
}

export function wholeNumberAt(value: unknown, place: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw new InvalidInput(`${place} must be a whole number from ${min} to ${max}.`);
  }
  return value;
}

export function numberAt(value: unknown, place: string, min: number, max: number): number {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw new InvalidInput(`${place} must be a number from ${min} to ${max}.`);
  }
  return value;
}

export function flagAt(value: unknown, place: string): boolean {
  if (typeof value !== 'boolean') throw new InvalidInput(`${place} must be true or false.`);
  return value;
}

export function choiceAt<T extends string>(value: unknown, place: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw new InvalidInput(`${place} must be one of: ${choices.join(', ')}.`);
  return found;
}

/** Reads a pair of milliseconds, [min, max], with min ≤ max ≤ ten minutes. */
export function latencyAt(value: unknown, place: string): readonly [number, number] {
  const pair = listAt(value, place, 2);
  const min = numberAt(pair[0], `${place}[0]`, 0, 600_000);
  const max = numberAt(pair[1], `${place}[1]`, 0, 600_000);
  if (max < min) throw new InvalidInput(`${place} must be [min, max] with min ≤ max.`);
  return [min, max];
}

export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidInput(`${what} is not valid JSON.`);
  }
}
