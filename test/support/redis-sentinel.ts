import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import type { RedisSettings } from '../../src/redis/options.ts';
import { eventually } from './eventually.ts';
import { freePort, REDIS_SERVER, startRedis, type TestRedis } from './redis-server.ts';

/** A primary, a replica and three sentinels on loopback. */
export interface TestSentinels {
  readonly settings: RedisSettings;
  readonly env: Readonly<Record<string, string>>;
  readonly servers: readonly [TestRedis, TestRedis];
  /** Whom the sentinels take for the primary. */
  primary(): Promise<TestRedis>;
  /** Has the sentinels make the replica the primary, as an operator would. */
  failOver(): Promise<void>;
  /** Ends all sentinels; primary and replica go on. */
  loseSentinels(): Promise<void>;
  bringSentinelsBack(): Promise<void>;
  stop(): Promise<void>;
}

const NAME = 'the-primary';
const DOWN_AFTER_MS = 1_500;

export async function startSentinels(): Promise<TestSentinels> {
  const first = await startRedis(['--repl-diskless-sync-delay', '0']);
  const second = await startRedis([
    '--replicaof',
    `127.0.0.1 ${first.port}`,
    '--repl-diskless-sync-delay',
    '0',
  ]);
  const servers = [first, second] as const;
  const folder = await mkdtemp(join(tmpdir(), 'imsync-sentinel-'));
  const sentinels = await Promise.all(
    ['a', 'b', 'c'].map(async (letter) => {
      const port = await freePort();
      const file = join(folder, `${letter}.conf`);
      await writeFile(
        file,
        [
          `port ${port}`,
          'bind 127.0.0.1',
          `dir ${folder}`,
          `sentinel monitor ${NAME} 127.0.0.1 ${first.port} 2`,
          `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
          `sentinel failover-timeout ${NAME} 5000`,
          '',
        ].join('\n'),
      );
      return { port, file, child: startSentinel(file) };
    }),
  );
  const ask = async <T>(port: number, question: (client: RedisClient) => Promise<T>): Promise<T> => {
    const client = openRedis(
      { ...first.settings, url: `redis://127.0.0.1:${port}` },
      'loop',
      'test',
      () => undefined,
    );
    try {
      return await question(client);
    } finally {
      await closeRedis(client);
    }
  };
  await eventually('the sentinels know each other and the replica', async () => {
    const told = await Promise.all(
      sentinels.map(({ port }) => ask(port, (client) => client.call('SENTINEL', 'MASTER', NAME))),
    );
    return told.every((reply) => {
      const fields = reply as string[];
      const of = (name: string): string | undefined => fields[fields.indexOf(name) + 1];
      return of('num-slaves') === '1' && of('num-other-sentinels') === '2' && of('flags') === 'master';
    });
  });
  const nodes = sentinels.map(({ port }) => ({ host: '127.0.0.1', port }));
  const anyPort = sentinels[0]?.port ?? 0;
  const primary = async (): Promise<TestRedis> => {
    const [, port] = (await ask(anyPort, (client) =>
      client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME),
    )) as [string, string];
    return Number(port) === first.port ? first : second;
  };
  return {
    settings: { ...first.settings, mode: 'sentinel', nodes, sentinelName: NAME },
    env: {
      IMSYNC_REDIS_MODE: 'sentinel',
      IMSYNC_REDIS_NODES: nodes.map(({ host, port }) => `${host}:${port}`).join(','),
      IMSYNC_REDIS_SENTINEL_NAME: NAME,
    },
    servers,
    primary,
    async failOver() {
      const before = await primary();
      await ask(anyPort, (client) => client.call('SENTINEL', 'FAILOVER', NAME));
      await eventually('another server is the primary', async () => (await primary()) !== before);
    },
    async loseSentinels() {
      await Promise.all(sentinels.map(({ child }) => killed(child)));
    },
    async bringSentinelsBack() {
      for (const one of sentinels) one.child = startSentinel(one.file);
    },
    async stop() {
      await Promise.all(sentinels.map(({ child }) => killed(child)));
      await Promise.all(servers.map((server) => server.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function startSentinel(file: string): ChildProcess {
  return spawn(REDIS_SERVER, [file, '--sentinel'], { stdio: 'ignore' });
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
