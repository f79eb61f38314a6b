import type { Group } from './unit.ts';

/** Cuts a list into two halves; the first is the longer one of an odd number. A list of one stays whole. */
export function halves<T>(items: readonly T[]): T[][] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)].filter((half) => half.length > 0);
}

/** One user goes ahead alone; the rest follows. Neither is a first call: their users were spoken of already. */
export function scout(group: Group): Group[] {
  const [ahead, ...rest] = group.units;
  if (ahead === undefined || rest.length === 0) return [group];
  return [
    { ...group, units: [ahead], first: false },
    { ...group, units: rest, first: false },
  ];
}
