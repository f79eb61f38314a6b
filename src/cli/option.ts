import { InvalidArgumentError } from 'commander';
import { type Format, wholeNumber } from '../config/formats.ts';

/** Reads the value of an option as a setting is read. The reader throws the error that commander prints. */
export function optionOf<T>({
  fromText,
  allowed,
}: Pick<Format<T>, 'fromText' | 'allowed'>): (text: string) => T {
  return (text) => {
    const value = fromText(text);
    if (value === undefined) throw new InvalidArgumentError(`It must be ${allowed}.`);
    return value;
  };
}

export function numberFrom(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return optionOf(wholeNumber(least, most));
}
