/** The package's interface for apps that write an outbox (`im-account-sync/outbox`). It loads no client. */
import { isAbsent } from './event/event.ts';
import type { UserInput } from './event/fields.ts';
import { InvalidUserError } from './event/invalid-user.ts';
import { activeTraceparent } from './event/traceparent.ts';
import { validateUser } from './event/validate.ts';

export { InvalidUserError } from './event/invalid-user.ts';

/**
 * A user as the outbox takes it. `undefined`, `null` and `''` mean that a field is absent.
 *
 * @example
 * const user: OutboxUser = { userId: 'alice', nick: 'Alice' };
 */
export type OutboxUser = Pick<UserInput, 'userId' | 'nick' | 'faceUrl' | 'type' | 'traceparent'>;

/**
 * What `insert` needs of a client: a pg `Client` or `PoolClient`, or a connection of mysql2 (`mysql2` or
 * `mysql2/promise`), in whose transaction the user is written.
 *
 * @example
 * const client: OutboxClient = await pool.connect();
 */
export interface OutboxClient {
  // biome-ignore lint/suspicious/noExplicitAny: pg and mysql2 overload it in ways of their own
  query(sql: any, values?: any): any;
}

/**
 * Options of `insert` and `statement`.
 *
 * @example
 * await insert(client, user, { table: 'chat.imsync_outbox', adminId: 'admin' });
 */
export interface OutboxOptions {
  /** The relay's IMSYNC_RELAY_TABLE. Default: `imsync_outbox`. */
  readonly table?: string;
  /** The user ID of the app's admin, which is refused as a user. Default: `administrator`. */
  readonly adminId?: string;
}

/**
 * A statement with its parameters, for clients and ORMs that `insert` does not know.
 *
 * @example
 * const { sql, values }: OutboxStatement = statement(user, 'postgres');
 */
export interface OutboxStatement {
  readonly sql: string;
  readonly values: readonly (string | number | null)[];
}

/**
 * Writes a user into the outbox, in the transaction that is open on `client`. To be called *after* the
 * statement that writes or locks the user's own row: the order of a user's events is the order of these calls.
 *
 * Rejects with {@link InvalidUserError} before anything is sent if the user is not valid, and with the
 * driver's error. Then roll back.
 *
 * @example
 * await client.query('BEGIN');
 * await client.query('INSERT INTO users (id, name) VALUES ($1, $2)', [id, name]);
 * await insert(client, { userId: id, nick: name });
 * await client.query('COMMIT');
 */
export async function insert(
  client: OutboxClient,
  user: OutboxUser,
  options: OutboxOptions = {},
): Promise<void> {
  // Connections of mysql2 can execute; those with callbacks give one with promises.
  const { execute, promise } = client as { execute?: unknown; promise?: () => OutboxClient };
  const { sql, values } = statement(user, typeof execute === 'function' ? 'mysql' : 'postgres', options);
  await (typeof promise === 'function' ? promise.call(client) : client).query(sql, values);
}

/**
 * The statement that `insert` sends, with `$1` … for PostgreSQL and `?` for MySQL and MariaDB. Throws
 * {@link InvalidUserError}.
 *
 * @example
 * const { sql, values } = statement({ userId: 'alice' }, 'mysql');
 * await prisma.$executeRawUnsafe(sql, ...values);
 */
export function statement(
  user: OutboxUser,
  dialect: 'postgres' | 'mysql',
  { table = 'imsync_outbox', adminId = 'administrator' }: OutboxOptions = {},
): OutboxStatement {
  if (!/^\w[\w$]*(\.\w[\w$]*)?$/.test(table)) throw new RangeError('table must be a name, or schema.name');
  const isUser = typeof user === 'object' && user !== null;
  const problems = isUser
    ? validateUser({ ...user }, { adminId })
    : ['a user must be an object with a userId'];
  if (problems.length > 0) throw new InvalidUserError(problems);
  const traceparent = isAbsent(user.traceparent) ? activeTraceparent() : user.traceparent;
  const cells = {
    user_id: user.userId,
    nick: user.nick,
    face_url: user.faceUrl,
    type: Number(user.type ?? 0) === 0 ? null : Number(user.type),
    trace_parent: traceparent,
  };
  const given = Object.entries(cells).filter(([, value]) => !isAbsent(value));
  const places = given.map((_, at) => (dialect === 'postgres' ? `$${at + 1}` : '?'));
  return {
    sql: `INSERT INTO ${table} (${given.map(([name]) => name).join(', ')}) VALUES (${places.join(', ')})`,
    values: given.map(([, value]) => value ?? null),
  };
}
