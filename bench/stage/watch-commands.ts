import { createHash, randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { prepareForBullmq } from '../../src/calls/bullmq/bullmq.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import { eventually } from '../../test/support/eventually.ts';
import { scriptTexts } from '../../test/support/script-texts.js';
import { type Monitored, readMonitored } from '../measure/monitor.ts';

/** What a Redis executes. */
export interface CommandWatch {
  readonly lines: readonly Monitored[];
  /** Resolves when everything that was executed so far has been seen. */
  caughtUp(): Promise<void>;
  /** Forgets what was executed so far. */
  clear(): Promise<void>;
  close(): void;
}

/** MONITOR costs Redis much of its speed: count with it, never time. */
export async function watchCommands(redis: RedisClient, port: number): Promise<CommandWatch> {
  const socket = connect(port, '127.0.0.1');
  const reading = createInterface({ input: socket });
  const lines: Monitored[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => socket.write('MONITOR\r\n'));
    reading.once('line', () => resolve());
  });
  reading.on('line', (line) => {
    const read = readMonitored(line);
    if (read !== undefined) lines.push(read);
  });
  const caughtUp = async (): Promise<void> => {
    const mark = randomUUID();
    await redis.echo(mark);
    await eventually('MONITOR has caught up', () => lines.some(({ first }) => first === mark));
  };
  return {
    lines,
    caughtUp,
    async clear() {
      await caughtUp();
      lines.length = 0;
    },
    close() {
      socket.destroy();
    },
  };
}

/** The names of the project's scripts and of BullMQ's by their SHA; of an unknown one, its beginning. */
export async function scriptNames(): Promise<(sha: string) => string> {
  const src = new URL('../../src/', import.meta.url);
  const names = new Map<string, string>();
  const shaOf = (text: string): string => createHash('sha1').update(text).digest('hex');
  for (const { name, sha } of scriptTexts(src)) names.set(sha, `${name}.lua`);
  const bullmq = new URL('../../node_modules/bullmq/dist/esm/scripts/', import.meta.url);
  for (const file of readdirSync(bullmq)) {
    if (!/-\d+\.js$/.test(file)) continue;
    const module = (await import(new URL(file, bullmq).href)) as Record<
      string,
      { content?: string; name?: string }
    >;
    for (const { content, name } of Object.values(module)) {
      if (content === undefined || name === undefined) continue;
      names.set(shaOf(content), `BullMQ ${name}`);
      names.set(shaOf(asDefined(name, content)), `BullMQ ${name}`);
    }
  }
  return (sha) => names.get(sha) ?? `script ${sha.slice(0, 8)}`;
}

/** A script of BullMQ as the worker gives it to Redis. */
function asDefined(name: string, content: string): string {
  let defined = content;
  const connection = {
    defineCommand: (_name: string, definition: { readonly lua: string }) => {
      defined = definition.lua;
    },
  };
  prepareForBullmq(connection as unknown as RedisClient).defineCommand(name, { lua: content });
  return defined;
}
