import { countedMemory } from './memory-watermark.ts';

/**
 * Why this server would refuse an event right now, by its INFO; each a sentence that says what to change.
 * [] when it takes writes.
 */
export function writeProblems(info: string): string[] {
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const problems: string[] = [];
  if (field('loading') === '1') {
    problems.push('Redis is still loading its data. Wait until it has.');
  }
  if (field('role') === 'slave') {
    problems.push('Redis is a replica and takes no writes. Point IMSYNC_REDIS_URL at the primary.');
  }
  if (field('aof_enabled') === '1' && field('aof_last_write_status') === 'err') {
    problems.push('Redis cannot write its append-only file and refuses events. Look at its disk.');
  }
  const { usedBytes, maxBytes } = countedMemory(info);
  if (maxBytes > 0 && usedBytes >= maxBytes) {
    problems.push('Redis has no memory left and refuses events. Raise its maxmemory, or find what fills it.');
  }
  return problems;
}
