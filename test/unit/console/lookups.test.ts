import fastify from 'fastify';
import type { RouteContext } from '../../../src/console/routes/context.ts';
import { userRoutes } from '../../../src/console/routes/users.ts';

test('so many users are looked for at once, with their outcomes, and no more', async () => {
  const app = fastify();
  let release: () => void = () => undefined;
  const outcomes = new Promise<[]>((resolve) => {
    release = () => resolve([]);
  });
  app.decorateRequest('person', null);
  app.addHook('onRequest', async (request) => {
    request.person = { name: 'vic', rights: 'view', showUsers: true, kind: 'bearer' };
  });
  userRoutes(app, {
    findUser: async (userId: string) => ({ userId, letters: [] }),
    redis: { xrevrange: () => outcomes },
    keys: {},
  } as unknown as RouteContext);
  const looking = Array.from({ length: 16 }, () => app.inject('/api/users/zoe'));
  await new Promise(setImmediate);
  const late = await app.inject('/api/users/zoe');
  expect(late.json()).toMatchObject({ message: 'As many users are looked for as can be at once.' });
  release();
  expect((await Promise.all(looking)).map(({ statusCode }) => statusCode)).toEqual(Array(16).fill(200));
  expect((await app.inject('/api/users/zoe')).statusCode).toBe(200);
});
