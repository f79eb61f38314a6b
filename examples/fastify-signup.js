/**
 * A signup handler that hands every new user to imsync, and answers its own user even while Redis is away.
 *
 *   IMSYNC_SDK_APP_ID=1400000000 node examples/fastify-signup.js
 *   curl -X POST http://127.0.0.1:3000/signup -H 'content-type: application/json' -d '{"name":"Alice"}'
 *
 * Reads IMSYNC_SDK_APP_ID, IMSYNC_REDIS_URL and PORT (3000; 0 is any free one).
 */
import { randomUUID } from 'node:crypto';
import fastify from 'fastify';
import { InvalidUserError, UserCreatedProducer } from 'im-account-sync';

const app = fastify({ logger: true });
const producer = new UserCreatedProducer({
  sdkAppId: Number(process.env.IMSYNC_SDK_APP_ID),
  redis: { url: process.env.IMSYNC_REDIS_URL || 'redis://127.0.0.1:6379' },
  onConnection: (state, reason) => app.log.warn({ state, reason }, 'Redis'),
});

/** Stands for the backend's own table of users; `imPending` marks those whose event Redis did not take. */
const users = new Map();

app.post('/signup', async (request, reply) => {
  const name = request.body?.name;
  if (typeof name !== 'string' || name === '') return reply.code(400).send({ error: 'name is missing' });
  // 32 bytes: a UUID with its dashes is 36, which is too long for the API.
  const user = { userId: randomUUID().replaceAll('-', ''), nick: name, imPending: true };
  users.set(user.userId, user);
  await announce(user);
  return reply.code(201).send({ userId: user.userId, imPending: user.imPending });
});

/** The user is the backend's own, whatever becomes of the event: a signup never fails because of it. */
async function announce(user) {
  try {
    const eventId = await producer.add({ userId: user.userId, nick: user.nick });
    user.imPending = false;
    app.log.info({ eventId }, 'announced');
  } catch (error) {
    // What does not hold up now will not tomorrow; what Redis did not take is tried again below.
    if (error instanceof InvalidUserError) user.imPending = false;
    app.log.error({ userId: user.userId, reason: error.message }, 'not announced');
  }
}

/** Those that Redis did not take. A real backend keeps the mark in its database, so that a restart loses none. */
const again = setInterval(async () => {
  for (const user of users.values()) if (user.imPending) await announce(user);
}, 1_000);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    clearInterval(again);
    await app.close();
    await producer.close();
  });
}

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT || 3000) });
