import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { promisify } from 'node:util';

const PEERS = ['bullmq', 'bottleneck', 'rate-limiter-flexible', 'p-throttle'] as const;

/** What the figures were measured on, in one line: processor, memory, Node, Redis and the peers' versions. */
export async function machineText(): Promise<string> {
  const { stdout } = await promisify(execFile)('redis-server', ['--version']);
  const redis = /v=(\S+)/.exec(stdout)?.[1] ?? 'of an unknown version';
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  return [
    `${availableParallelism()} cores of ${processor}, ${memoryGb} GB`,
    `${process.platform} ${process.arch}`,
    `Node ${process.versions.node}`,
    `Redis ${redis}, AOF everysec`,
    ...PEERS.map((name) => `${name} ${versionOf(name)}`),
  ].join(' · ');
}

function versionOf(name: string): string {
  const manifest = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
