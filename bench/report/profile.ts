import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { blamedTimes, byOwner, type CpuProfile, type SelfTime, selfTimes } from '../measure/cpu-profile.ts';

const FUNCTIONS = 30;

/** Where the time of the workers went that wrote their CPU profiles into `folder`. */
export function profileText(folder: string): string {
  const files = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  const profiles = files.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile);
  const times = selfTimes(profiles);
  const total = times.reduce((sum, { micros }) => sum + micros, 0);
  const lines = (list: readonly SelfTime[]): string[] =>
    list.map(({ where, micros }) => `${((100 * micros) / total).toFixed(1).padStart(6)} %  ${where}`);
  return [
    `${files.length} profiles in ${folder}, ${(total / 1e6).toFixed(1)} s of CPU. By owner:`,
    ...lines(byOwner(times).slice(0, 16)),
    "By the worker's own function, with the libraries it calls:",
    ...lines(blamedTimes(profiles).slice(0, FUNCTIONS)),
    'By function alone:',
    ...lines(times.slice(0, FUNCTIONS)),
  ].join('\n');
}
