import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import fastify from 'fastify';
import { createPage } from '../../../src/console/page.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'console-page-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function build(): void {
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), '<head><base href="/" /></head>');
  writeFileSync(join(folder, 'secret.txt'), 'not served');
  writeFileSync(join(folder, 'assets', 'a-1b2c.js'), `'use strict';${'x'.repeat(2_000)}`);
  writeFileSync(join(folder, 'assets', 'm-3d.svg'), '<svg/>');
}

async function ask(basePath: string, path: string, accept = '') {
  const page = createPage(basePath, folder);
  const app = fastify();
  app.get('/*', async (request, reply) =>
    (await page.answer(reply, (request.params as { '*': string })['*'])) ? reply : reply.code(404).send(),
  );
  const answer = await app.inject({ url: `/${path}`, headers: { 'accept-encoding': accept } });
  await app.close();
  return answer;
}

test('the page is not cached and knows its base path, for every path of its own', async () => {
  build();
  for (const path of ['', 'letters', 'users/a']) {
    const { statusCode, headers, body } = await ask('/ops/imsync', path);
    expect([statusCode, headers['cache-control'], headers['content-type']]).toEqual([
      200,
      'no-cache',
      'text/html; charset=utf-8',
    ]);
    expect(body).toBe('<head><base href="/ops/imsync/" /></head>');
  }
  expect((await ask('', '')).body).toContain('<base href="/" />');
});

test('assets are cached for ever, compressed as asked, and nothing else of the folder is served', async () => {
  build();
  const plain = await ask('', 'assets/a-1b2c.js');
  expect(plain.headers).toMatchObject({
    'cache-control': 'public, max-age=31536000, immutable',
    'content-type': 'text/javascript; charset=utf-8',
    vary: 'accept-encoding',
  });
  const br = await ask('', 'assets/a-1b2c.js', 'gzip, deflate, br');
  expect(br.headers['content-encoding']).toBe('br');
  expect(brotliDecompressSync(br.rawPayload).toString()).toBe(plain.body);
  const zipped = await ask('', 'assets/a-1b2c.js', 'gzip, br;q=0');
  expect(zipped.headers['content-encoding']).toBe('gzip');
  expect(gunzipSync(zipped.rawPayload).toString()).toBe(plain.body);
  expect((await ask('', 'assets/m-3d.svg')).headers['content-type']).toBe('image/svg+xml');
  for (const path of ['assets/none.js', 'assets/../secret.txt', 'assets/%2e%2e/secret.txt'])
    expect((await ask('', path)).body).not.toContain('not served');
  expect((await ask('', 'assets/none.js')).statusCode).toBe(404);
  expect((await ask('', 'secret.txt')).body).toContain('<base');
});

test('without a build there is nothing, and it says so', async () => {
  expect(createPage('', folder).isBuilt).toBe(false);
  expect((await ask('', '')).statusCode).toBe(404);
});

test('an upgrade that replaces the files under a process leaves it the page that it started with', async () => {
  build();
  const page = createPage('', folder);
  rmSync(join(folder, 'assets'), { recursive: true });
  writeFileSync(join(folder, 'index.html'), '<head>another version</head>');
  const app = fastify();
  app.get('/*', async (request, reply) =>
    (await page.answer(reply, (request.params as { '*': string })['*'])) ? reply : reply.code(404).send(),
  );
  const statuses = [];
  for (const url of ['/', '/assets/a-1b2c.js', '/assets/m-3d.svg'])
    statuses.push((await app.inject({ url })).statusCode);
  await app.close();
  expect(statuses).toEqual([200, 200, 200]);
});
