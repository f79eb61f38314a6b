import { spawnSync } from 'node:child_process';

/**
 * The tests start redis-servers of their own. Where there is none it is installed, the way the demo does it;
 * where that cannot be done, the tests end with the sentence that says what to install. Plain JavaScript: Jest
 * loads this before its transforms.
 */
export default async function ensureRedisServer() {
  if (spawnSync('redis-server', ['--version']).status === 0) return;
  const { installRedisServer } = await import('../../dist/cli/demo/redis-server.js');
  await installRedisServer((text) => process.stdout.write(`${text}\n`));
}
