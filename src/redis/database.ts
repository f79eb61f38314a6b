import type { Redis } from 'ioredis';

/**
 * Reads the database number from an address; 0 if there is none. Throws a RangeError if the number would be
 * ignored or is no number, since ioredis would then use database 0.
 */
export function databaseOf(url: URL, mode: 'standalone' | 'cluster' | 'sentinel'): number {
  const isSocket = url.protocol === 'unix:';
  const named = isSocket ? (url.searchParams.get('db') ?? '') : url.pathname.replace(/^\//, '');
  if (!/^\d*$/.test(named) || (!isSocket && url.searchParams.has('db')))
    throw new RangeError(
      'the Redis address does not name a database number: end it with one, such as redis://host:6379/3',
    );
  if (mode === 'cluster' && Number(named) !== 0)
    throw new RangeError(
      `the Redis address names database ${named}, but a cluster has only database 0: leave the number out`,
    );
  return Number(named);
}

/** Whether the text of an error says that Redis refuses the database. */
export function isDatabaseRefused(reason: string): boolean {
  return /\bdatabase \S+ cannot be used, Redis says/.test(reason);
}

/** Whether Redis refuses the database for its number (a configuration error), not for missing rights. */
export function isDatabaseWrong(reason: string): boolean {
  return isDatabaseRefused(reason) && !reason.includes('NOPERM');
}

/**
 * Makes sure that a connection is only ever used in the database of its options. After a failed SELECT,
 * ioredis emits an error and continues in database 0: there it would import another app's events and miss
 * ours. This closes such a connection before any command is written, at every connect. It is made again as
 * after any loss: a loop's commands wait, others fail.
 *
 * Call it where the connection is created, before it connects.
 */
export function staysInDatabase(client: Redis): Redis {
  const select = client.select.bind(client) as (database: number | string) => Promise<'OK'>;
  // Only ioredis calls select, in the handshake of each connection. After a failure the promise never
  // settles: so the handshake does not end, the connection is never `ready`, and no command is written.
  client.select = (database: number | string) => {
    const { stream, options } = client;
    const hasPassword = Boolean(options.password);
    return select(database).catch((error: Error) => {
      stream.destroy(refusalOf(database, error, hasPassword));
      return new Promise<never>(() => undefined);
    });
  };
  // BullMQ uses a duplicate for its blocking command.
  const duplicate = client.duplicate.bind(client);
  client.duplicate = ((override) => staysInDatabase(duplicate(override))) as Redis['duplicate'];
  return client;
}

/** Redis's error answer to a command, or the reason why there is no answer. */
type ErrorOfCommand = Error & { readonly command?: { readonly name: string } };

/** Errors that any command gets, so that they do not concern the database. */
const OF_ANY_COMMAND = /^(NOAUTH|LOADING|BUSY|MASTERDOWN)/;

/** The error to report; undefined if it was reported before: the connection broke, or AUTH was refused. */
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
