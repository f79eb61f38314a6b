import type { Config, QuotaCommand } from './config.ts';
import { type Format, matching, orAbsent } from './formats.ts';

/**
 * What of a value must not be shown: all of it (`value`), the password inside an address (`address`), or,
 * of the path of a secret's file, anything that is no path but perhaps the secret itself (`path`).
 */
export type Hidden = 'value' | 'address' | 'path' | undefined;

/** A leaf of the schema: convict's members (default, doc, env, sensitive, format) and our strict reader. */
export interface Setting<T> {
  readonly default: T;
  readonly doc: string;
  /** The environment variable; `''` for what only a file can say. */
  readonly env: string;
  readonly sensitive: boolean;
  readonly format: (value: unknown) => void;
  readonly reader: Format<T>;
  readonly hidden: Hidden;
  /** What holds while nobody says anything, where the default alone does not tell. */
  readonly defaultText: string | undefined;
}

/** A setting of the environment variable `env`, with the value it has when nobody says anything. */
export function setting<T>(
  env: string,
  reader: Format<T>,
  fallback: T,
  doc: string,
  more: { hidden?: Hidden; defaultText?: string } = {},
): Setting<T> {
  return {
    default: fallback,
    doc,
    env,
    sensitive: more.hidden === 'value',
    format: (value) => {
      if (reader.fromJson(value) === undefined) throw new Error(`must be ${reader.allowed}`);
    },
    reader,
    hidden: more.hidden,
    defaultText: more.defaultText,
  };
}

/** The configuration before quotas that were not set are left out. */
export type FullConfig = Omit<Config, 'quota'> & {
  readonly quota: Omit<Config['quota'], 'perSecond'> & {
    readonly perSecond: Readonly<Record<QuotaCommand, number | null>>;
  };
};

type Scalar = string | number | boolean | null;
type IsLeaf<T> = T extends Scalar | readonly unknown[] ? true : string extends keyof T ? true : false;
/** The tree of settings for a part of the configuration: the same keys, a setting for each value. */
export type SchemaOf<T> = {
  readonly [K in keyof T]: IsLeaf<T[K]> extends false ? SchemaOf<T[K]> : Setting<T[K]>;
};

/** The path of a file; `''` for none. */
export const filePath = orAbsent(matching('the path of a file', /^[^\0\r\n]+$/), '');

/** Marks of a secret, and of the file that holds one. */
export const secret = { hidden: 'value' } as const;
export const secretFile = { hidden: 'path' } as const;
