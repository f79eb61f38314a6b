import type { Redis } from 'ioredis';

/**
 * The database of the address, 0 without one. Throws a RangeError where a number would be ignored, or something else
 * stands for it: taken for none, it would lead to database 0.
 */
export function databaseOf(url: URL, mode: 'standalone' | 'cluster' | 'sentinel'): number {
  const isSocket = url.protocol === 'unix:';
  const named = isSocket ? (url.searchParams.get('db') ?? '') : url.pathname.replace(/^\//, '');
  if (!/^\d*$/.test(named) || (!isSocket && url.searchParams.has('db')))
    throw new RangeError(
      'the Redis address does not say which database is meant: end it with a number, such as redis://host:6379/3',
    );
  if (mode === 'cluster' && Number(named) !== 0)
    throw new RangeError(
      `the Redis address names database ${named}, but a cluster has only database 0: leave the number out`,
    );
  return Number(named);
}

/** Whether the words of an error say that Redis does not give the database that was asked for. */
export function isDatabaseRefused(reason: string): boolean {
  return /\bdatabase \S+ cannot be used, Redis says/.test(reason);
}

/** The same, where the number is wrong and not only a right is missing: an error of the configuration. */
export function isDatabaseWrong(reason: string): boolean {
  return isDatabaseRefused(reason) && !reason.includes('NOPERM');
}

/**
 * Has a connection be in the database of its options, or be none. ioredis tells of a SELECT that failed and goes on in
 * database 0: there another's events would be imported, and ours be lost sight of. Such a connection is broken off
 * here before a command is written, at its first making and at each later one, and is made anew as after any loss: a
 * loop's commands wait, others fail.
 *
 * To be called where the connection is made, before it stands.
 */
export function staysInDatabase(client: Redis): Redis {
  const select = client.select.bind(client) as (database: number | string) => Promise<'OK'>;
  // Asked by ioredis alone, in the handshake of each connection. It hears nothing of a failure: so the handshake does
  // not end, and without its end the connection is never `ready`, and nothing but the handshake is written.
  client.select = (database: number | string) => {
    const { stream, options } = client;
    const hasPassword = Boolean(options.password);
    return select(database).catch((error: Error) => {
      stream.destroy(refusalOf(database, error, hasPassword));
      return new Promise<never>(() => undefined);
    });
  };
  // BullMQ blocks on a duplicate.
  const duplicate = client.duplicate.bind(client);
  client.duplicate = ((override) => staysInDatabase(duplicate(override))) as Redis['duplicate'];
  return client;
}

/** Redis's answer to a command, or why there is none. */
type ErrorOfCommand = Error & { readonly command?: { readonly name: string } };

/** What answers every command alike has nothing to do with the database. */
const OF_ANY_COMMAND = /^(NOAUTH|LOADING|BUSY|MASTERDOWN)/;

/** What there is to tell; undefined where it is told already: the connection broke, or AUTH was refused before. */
function refusalOf(
  database: number | string,
  error: ErrorOfCommand,
  hasPassword: boolean,
): Error | undefined {
  const { command, message } = error;
  if (command?.name !== 'select' || (hasPassword && message.startsWith('NOAUTH'))) return undefined;
  if (OF_ANY_COMMAND.test(message)) return error;
  return new Error(`database ${database} cannot be used, Redis says "${message}"; ${todo(message)}`);
}

function todo(reply: string): string {
  if (reply.startsWith('NOPERM')) return 'give its user the right +select (docs/security.md)';
  if (/out of range|invalid DB/i.test(reply))
    return 'ask for a lower number, or raise "databases" in the configuration of Redis';
  return 'ask for another one, or find out there why not';
}
