import { databaseAdvice, quoteTable, reasonOf, type Session } from '../database/database.ts';
import type { RelayState } from '../relay/relay-store.ts';
import { duration, type Finding, hint, ok, skipped, wrong } from './finding.ts';

/** A relay that works gives a sign of life every 5 s. */
const RELAY_WITHIN_MS = 20_000;
/** A row that waits longer than this is not on its way. */
const OLD_ROW_MS = 60_000;
/** Deleted rows that the database could not remove. More of them make each look slow. */
const MANY_DEAD_ROWS = 1_000_000;
/** Rows are counted up to here. */
const MOST_COUNTED = 10_000;

const COLUMNS = ['id', 'user_id', 'nick', 'face_url', 'type', 'trace_parent', 'created_at'] as const;
const KINDS: Readonly<Record<string, readonly [types: RegExp, words: string]>> = {
  ...{ id: [/int/, 'a whole number'], type: [/int/, 'a whole number'] },
  ...{ created_at: [/timestamp|datetime/, 'a time'], archived_at: [/timestamp|datetime/, 'a time'] },
};
const TEXT = [/char|text/, 'a text'] as const;

/** The outbox that is looked at. */
export interface LookedAt {
  readonly session: Session;
  readonly table: string;
  /** The user of the relay. */
  readonly user: string;
  /** The relay that works or worked; null if none has, or Redis was not asked. */
  readonly relay: RelayState | null;
}

/** The findings about the outbox: whether a relay can use it, what waits in it, and what could not be events. */
export async function outboxFindings(outbox: LookedAt): Promise<Finding[]> {
  const waiting = await waitingFinding(outbox);
  if (waiting === undefined) return [await missingFinding(outbox)];
  const columns = await columnFindings(outbox);
  const rights = columns.length > 0 ? [] : await rightFindings(outbox);
  const isUsable = columns.length === 0 && rights.length === 0;
  return [
    waiting,
    ...columns,
    ...rights,
    ...(isUsable ? await counterFindings(outbox) : []),
    ...(isUsable ? await asideFindings(outbox) : []),
    ...(await deadRowFindings(outbox)),
  ];
}

/** Undefined when the table cannot be read. */
async function waitingFinding({ session, table, relay }: LookedAt): Promise<Finding | undefined> {
  const name = 'database.outbox';
  const age =
    session.dialect === 'postgres'
      ? 'extract(epoch FROM clock_timestamp() - created_at)'
      : 'TIMESTAMPDIFF(SECOND, created_at, SYSDATE())';
  const own = quoteTable(session.dialect, table);
  const reply = await session.query(`SELECT ${age} FROM ${own} ORDER BY id LIMIT 1`).catch(() => undefined);
  // Without these columns it can perhaps be read all the same: another finding says what is missing.
  const readable = reply ?? (await session.query(`SELECT 1 FROM ${own} WHERE 1 = 0`).catch(() => undefined));
  if (readable === undefined) return undefined;
  const ageMs = reply?.rows[0] === undefined ? 0 : Number(reply.rows[0][0]) * 1_000;
  const isWorking = relay !== null && Math.abs(Date.now() - relay.lastSeen) < RELAY_WITHIN_MS;
  const oldest = `the oldest row of ${table} has waited ${duration(ageMs)}`;
  if (ageMs > OLD_ROW_MS)
    return isWorking
      ? wrong(
          name,
          `A relay works, but ${oldest}`,
          'See its log, and imsync status: Redis may be full, or the intake.',
        )
      : wrong(name, `No relay works, and ${oldest}`, 'Start one: imsync relay');
  if (isWorking) return ok(name, `A relay works, and no row of ${table} waits for long`);
  return skipped(name, `No relay works; no row of ${table} has waited for long`, 'Start one: imsync relay');
}

async function missingFinding({ session, table }: LookedAt): Promise<Finding> {
  const error = await session.query(`SELECT 1 FROM ${quoteTable(session.dialect, table)} WHERE 1 = 0`).then(
    () => new Error('it was there a moment ago'),
    (reason: Error) => reason,
  );
  return wrong(
    'database.outbox',
    `The outbox ${table} cannot be read: ${reasonOf(error)}`,
    `${databaseAdvice(error)} If only reconcile or --query use the database, nothing is missing.`,
  );
}

/** Columns that are missing, or that hold something else than the relay reads. */
async function columnFindings({ session, table }: LookedAt): Promise<Finding[]> {
  const tables = [
    [table, COLUMNS],
    [`${table}_archive`, [...COLUMNS, 'archived_at', 'reason']],
  ] as const;
  const findings: Finding[] = [];
  for (const [name, columns] of tables) {
    const types = await columnTypes(session, name);
    if (types.size === 0)
      findings.push(
        wrong(
          'database.columns',
          `The table ${name} does not exist, or its user has no right there: the relay keeps rows in it that cannot be events`,
          'Make it: imsync relay init --apply. It also prints the rights.',
        ),
      );
    else
      for (const column of columns) {
        const problem = columnProblem(column, types.get(column));
        if (problem !== undefined)
          findings.push(
            wrong(
              'database.columns',
              `The table ${name} ${problem}`,
              `Mend it by ALTER TABLE: imsync relay init prints how ${column} is made.`,
            ),
          );
      }
  }
  return findings;
}

function columnProblem(column: string, type: string | undefined): string | undefined {
  if (type === undefined) return `has no column ${column}`;
  const [types, words] = KINDS[column] ?? TEXT;
  return types.test(type) ? undefined : `has a column ${column} of the type ${type}, which is not ${words}`;
}

/** The types by the names of the columns; empty for a table that is not there, or not shown to this user. */
async function columnTypes(session: Session, table: string): Promise<Map<string, string>> {
  const [, schema, bare = table] = /^([^.]+)\.(.+)$/.exec(table) ?? [];
  const { rows } =
    session.dialect === 'postgres'
      ? await session.query(
          `SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
           WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
          [quoteTable('postgres', table)],
        )
      : await session.query(
          `SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS
           WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?`,
          [schema ?? null, bare],
        );
  return new Map(rows.map(([name, type]) => [String(name), String(type)]));
}

/** Rights that the relay's user lacks. Each is tried on no row: it is checked all the same. */
async function rightFindings({ session, table, user }: LookedAt): Promise<Finding[]> {
  const { dialect } = session;
  const archiveName = `${table}_archive`;
  const [own, archive] = [quoteTable(dialect, table), quoteTable(dialect, archiveName)];
  const columns = COLUMNS.join(', ');
  const tries = [
    ['DELETE', table, `DELETE FROM ${own} WHERE 1 = 0`],
    ['SELECT', archiveName, `SELECT 1 FROM ${archive} WHERE 1 = 0`],
    ['INSERT', archiveName, `INSERT INTO ${archive} (${columns}) SELECT ${columns} FROM ${own} WHERE 1 = 0`],
    ['DELETE', archiveName, `DELETE FROM ${archive} WHERE 1 = 0`],
  ] as const;
  const findings: Finding[] = [];
  for (const [right, on, sql] of tries) {
    const error = await session.query(sql).then(
      () => undefined,
      (reason: Error) => reason,
    );
    if (error !== undefined)
      findings.push(
        wrong(
          'database.rights',
          `The user ${user} cannot ${right} in ${on}: ${reasonOf(error)}`,
          `As an owner of the table: GRANT ${right} ON ${on} TO its user. imsync relay init prints all rights.`,
        ),
      );
  }
  return findings;
}

/** PostgreSQL only: without the counter a relay works, and does not notice a database that went back. */
async function counterFindings({ session, table, user }: LookedAt): Promise<Finding[]> {
  if (session.dialect !== 'postgres') return [];
  const { rows } = await session.query(
    `SELECT s.name, has_sequence_privilege(s.name, 'SELECT, USAGE')
     FROM (SELECT pg_get_serial_sequence($1, 'id') AS name) s WHERE s.name IS NOT NULL`,
    [quoteTable('postgres', table)],
  );
  const [sequence, mayRead] = rows[0] ?? [];
  if (sequence === undefined || mayRead === true) return [];
  return [
    hint(
      'database.counter',
      `The user ${user} cannot read ${sequence}, so a relay notices only a part of what a failover undid: GRANT SELECT ON SEQUENCE ${sequence} TO its user`,
    ),
  ];
}

/** Rows that could not be events: their users have no account until somebody looks. */
async function asideFindings({ session, table }: LookedAt): Promise<Finding[]> {
  const archiveName = `${table}_archive`;
  const archive = quoteTable(session.dialect, archiveName);
  const aside = `FROM ${archive} WHERE reason IS NOT NULL`;
  const { rows } = await session.query(
    `SELECT COUNT(*) FROM (SELECT 1 ${aside} LIMIT ${MOST_COUNTED}) counted`,
  );
  const count = Number(rows[0]?.[0]);
  if (count === 0) return [];
  const newest = await session.query(`SELECT reason ${aside} ORDER BY archived_at DESC LIMIT 1`);
  const reason = String(newest.rows[0]?.[0] ?? '').replace(/\s+/g, ' ');
  const atLeast = count === MOST_COUNTED ? 'at least ' : '';
  return [
    wrong(
      'database.aside',
      `${atLeast}${count.toLocaleString('en-US')} rows in ${archiveName} could not be events; the newest: ${reason.slice(0, 200)}`,
      'Mend them there and put them back, or delete them: docs/outbox.md says how. Mend what the app writes.',
    ),
  ];
}

/** PostgreSQL only: rows that a transaction which was left open keeps from being removed. */
async function deadRowFindings({ session, table }: LookedAt): Promise<Finding[]> {
  if (session.dialect !== 'postgres') return [];
  const { rows } = await session.query(
    'SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = to_regclass($1)',
    [quoteTable('postgres', table)],
  );
  const dead = Number(rows[0]?.[0] ?? 0);
  if (dead < MANY_DEAD_ROWS) return [];
  return [
    wrong(
      'database.dead-rows',
      `${table} holds ${dead.toLocaleString('en-US')} deleted rows, over which each look steps`,
      'Find the transaction that has been open for long (pg_stat_activity, xact_start), end it, and VACUUM the table.',
    ),
  ];
}
