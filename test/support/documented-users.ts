import { readFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import type { RedisClient } from '../../src/redis/connect.ts';

/** The users of docs/security.md, with this password. */
export async function setDocumentedUsers(
  client: RedisClient,
  password: string,
  ...more: readonly string[]
): Promise<string[]> {
  const documented = await readFile(new URL('../../docs/security.md', import.meta.url), 'utf8');
  const users = [...documented.matchAll(/^user (.*)$/gm)].map(([, rule = '']) => rule.split(' '));
  const [, major = 0, minor = 0] = /redis_version:(\d+)\.(\d+)/.exec(await client.info()) ?? [];
  const isNewer = Number(major) > 7 || (Number(major) === 7 && Number(minor) >= 2);
  // An older Redis does not know the name.
  const newer = (/From Redis 7\.2 on add `([^`]+)`/.exec(documented)?.[1] ?? '').split(' ');
  for (const [name = '', ...rules] of users) {
    const own = rules.map((rule) => rule.replace('PASSWORD', password));
    await client.call('ACL', 'SETUSER', name, 'reset', ...own, ...(isNewer ? newer : []), ...more);
  }
  return users.map(([name = '']) => name);
}

/** What the document says to add on a Cluster. */
export async function clusterRights(): Promise<string[]> {
  const documented = await readFile(new URL('../../docs/security.md', import.meta.url), 'utf8');
  return (/On a Cluster add `([^`]+)`/.exec(documented)?.[1] ?? '').split(' ');
}

/** What was refused to whom, as `user object` a line; [] if nothing was. */
export async function refusals(client: RedisClient): Promise<string[]> {
  const log = (await client.call('ACL', 'LOG')) as unknown[][];
  return log.map((fields) => {
    const of = (name: string): string => String(fields[fields.indexOf(name) + 1]);
    return `${of('username')} ${of('object')}`;
  });
}

/** The commands that docs/security.md gives to this user, as `name` or `name|subcommand`. */
export async function documentedRights(user: string): Promise<string[]> {
  const documented = await readFile(new URL('../../docs/security.md', import.meta.url), 'utf8');
  const rule = new RegExp(`^user ${user} (.*)$`, 'm').exec(documented)?.[1] ?? '';
  return rule.split(' ').flatMap((word) => (word.startsWith('+') ? [word.slice(1)] : []));
}

/** Sees which commands Redis is given: by whoever is not `but` itself, and by anybody's scripts. */
export async function watchRights(
  but: RedisClient,
): Promise<{ readonly used: ReadonlySet<string>; end(): void }> {
  if (!(but instanceof Redis)) throw new TypeError('there is no one server to watch');
  const own = /\baddr=(\S+)/.exec(String(await but.client('INFO')))?.[1];
  const used = new Set<string>();
  const monitor = await but.monitor();
  monitor.on('monitor', (_time: string, [name = '', sub = '']: string[], source: string) => {
    if (source === own) return;
    used.add(name.toLowerCase());
    used.add(`${name}|${sub}`.toLowerCase());
  });
  return { used, end: () => monitor.disconnect() };
}
