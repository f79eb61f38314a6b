/**
 * A signup that cannot lose its user: the row of the outbox is written in the transaction that writes the user.
 * Redis may be away, and this process may die at any moment: the user and its event exist, or neither does.
 *
 *   npm install fastify pg im-account-sync
 *   export IMSYNC_DATABASE_URL=postgres://postgres:secret@127.0.0.1/postgres
 *   imsync relay init --apply
 *   node examples/outbox-signup.js
 *   curl -X POST http://127.0.0.1:3000/signup -H 'content-type: application/json' -d '{"name":"Alice"}'
 *
 * `imsync relay` brings the users to Redis. Reads IMSYNC_DATABASE_URL and PORT (3000; 0 is any free one).
 */
import { randomUUID } from 'node:crypto';
import fastify from 'fastify';
import { InvalidUserError, insert } from 'im-account-sync/outbox';
import pg from 'pg';

const app = fastify({ logger: true });
const pool = new pg.Pool({ connectionString: process.env.IMSYNC_DATABASE_URL });
// A connection that breaks while nobody uses it is made anew.
pool.on('error', (error) => app.log.warn({ reason: error.message }, 'database'));
await pool.query('CREATE TABLE IF NOT EXISTS signups (id text PRIMARY KEY, name text NOT NULL)');

/** Runs `work` in a transaction: all of it counts, or nothing. */
async function inTransaction(work) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

app.post('/signup', async (request, reply) => {
  const name = request.body?.name;
  if (typeof name !== 'string' || name === '') return reply.code(400).send({ error: 'name is missing' });
  // 32 bytes: a UUID with its dashes is 36, which is too long for the API.
  const userId = randomUUID().replaceAll('-', '');
  try {
    await inTransaction(async (client) => {
      await client.query('INSERT INTO signups (id, name) VALUES ($1, $2)', [userId, name]);
      await insert(client, { userId, nick: name });
    });
  } catch (error) {
    if (error instanceof InvalidUserError) return reply.code(400).send({ error: error.message });
    throw error;
  }
  return reply.code(201).send({ userId });
});

app.post('/rename', async (request, reply) => {
  const { userId, name } = request.body ?? {};
  if (typeof userId !== 'string' || typeof name !== 'string' || name === '')
    return reply.code(400).send({ error: 'userId or name is missing' });
  const found = await inTransaction(async (client) => {
    // The user's row first: it is locked until the end, so that changes of one user follow each other.
    const { rowCount } = await client.query('UPDATE signups SET name = $2 WHERE id = $1', [userId, name]);
    if (rowCount === 1) await insert(client, { userId, nick: name });
    return rowCount === 1;
  });
  return reply.code(found ? 200 : 404).send({ userId });
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await app.close();
    await pool.end();
  });
}

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT || 3000) });
