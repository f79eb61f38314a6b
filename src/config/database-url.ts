import type { Format } from './formats.ts';

/** The databases that the relay and the readers of a user table know. MariaDB counts as `mysql`. */
export type Dialect = 'postgres' | 'mysql';

/**
 * How the connection is encrypted, as PostgreSQL names it. `require` encrypts and checks nothing, `verify-ca`
 * checks who signed the certificate, `verify-full` the name in it, too.
 */
const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

export interface DatabaseAddress {
  readonly dialect: Dialect;
  /** A host, or the path of a socket (of its folder with PostgreSQL), which begins with `/`. */
  readonly host: string;
  readonly port: number;
  /** '' for none. */
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Undefined when the address does not say. */
  readonly sslMode: SslMode | undefined;
}

const DIALECTS: Readonly<Record<string, { readonly dialect: Dialect; readonly port: number }>> = {
  'postgres:': { dialect: 'postgres', port: 5432 },
  'postgresql:': { dialect: 'postgres', port: 5432 },
  'mysql:': { dialect: 'mysql', port: 3306 },
  'mariadb:': { dialect: 'mysql', port: 3306 },
};

/** Takes an address apart; undefined if it is none. Pure. */
export function readDatabaseUrl(text: string): DatabaseAddress | undefined {
  if (!/^[!-~]+$/.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const known = DIALECTS[url.protocol];
  const sslMode = url.searchParams.get('sslmode') ?? undefined;
  const hasOthers = [...url.searchParams.keys()].some((name) => name !== 'sslmode');
  if (known === undefined || url.hash !== '' || hasOthers) return undefined;
  try {
    const [host, user, password, database] = [
      decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, '$1')),
      decodeURIComponent(url.username),
      decodeURIComponent(url.password),
      decodeURIComponent(url.pathname.slice(1)),
    ];
    const isKnownMode = sslMode === undefined || (SSL_MODES as readonly string[]).includes(sslMode);
    if (host === '' || database === '' || database.includes('/') || !isKnownMode) return undefined;
    const port = url.port === '' ? known.port : Number(url.port);
    return { dialect: known.dialect, host, port, user, password, database, sslMode: sslMode as SslMode };
  } catch {
    // Something is not percent-encoded as it should be.
    return undefined;
  }
}

const accept = (text: unknown): string | undefined =>
  typeof text === 'string' && (text === '' || readDatabaseUrl(text) !== undefined) ? text : undefined;

/** '' means none. */
export const databaseUrl: Format<string> = {
  allowed:
    'a postgres:// or mysql:// address such as postgres://imsync:password@db.example:5432/app?sslmode=verify-full (percent-encode what is special; a socket is %2Fits%2Fpath)',
  hidden: 'address',
  fromText: accept,
  fromJson: accept,
};

/** The address for people, without its password. */
export function shownAddress({ dialect, host, port, database }: DatabaseAddress): string {
  const place = host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `${dialect}://${place}/${database}`;
}
