import { encodeImport } from '../../im/bodies.ts';
import {
  accountOf,
  type Commands,
  everybodyIn,
  FOLLOW_UP,
  type Group,
  historyOf,
  type Unit,
} from './pending-user.ts';

/**
 * How users whose call failed are told apart. Pure. Nobody is taken for the cause without an answer to a call of
 * their own.
 */

/** Parts of a call that failed. All are called at the same time: three rounds find any number of users among a hundred. */
const PARTS = 5;

/**
 * The parts of a call that failed because of somebody in it: those that pass are done, the others are split again, down to
 * calls of one user. One user of 100 takes 14 calls at most (5 of 20, 5 of 4, 4 of 1), k users at most 14 k. `failures`,
 * `failedAtMs`: see Group.
 */
export function partsOf(group: Group, commands: Commands, failures: number, failedAtMs: number): Group[] {
  const size = Math.ceil(group.units.length / PARTS);
  const parts = slices(group.units, size).map((units) => ({
    ...partOf(group, units, commands),
    failures,
    failedAtMs,
  }));
  const whole = { bytes: bytesOf(group, group.units, commands), partsLeft: parts.length };
  return parts.map((part) => ({ ...part, whole }));
}

/** A call that something refused for its size, as two of half its size each. */
export function halvesOf(group: Group, commands: Commands): Group[] {
  const bytes = group.units.map((unit) => bytesOf(group, [unit], commands));
  const half = bytes.reduce((sum, n) => sum + n, 0) / 2;
  let count = 0;
  for (let sum = 0; count < group.units.length - 1 && sum < half; count++) sum += bytes[count] ?? 0;
  const at = Math.max(1, count);
  return [group.units.slice(0, at), group.units.slice(at)].map((units) => partOf(group, units, commands));
}

/**
 * One user goes ahead, the others wait for the answer: whether everybody's calls fail is learned at the price of one
 * user. Another one each time, since the first may be the cause.
 */
export function canaryOf(group: Group, commands: Commands): Group {
  const [canary, ...rest] = group.behind === undefined ? group.units : rotated(everybodyIn(group));
  if (canary === undefined || rest.length === 0 || group.command === 'account_check') return group;
  const behind = { command: group.behind?.command ?? group.command, units: rest };
  return { ...group, command: commands.single, units: [canary], behind };
}

/** Who waited for a canary goes now. */
export function released(group: Group, commands: Commands): Group[] {
  const { behind } = group;
  if (behind === undefined || behind.units.length === 0) return [];
  const command = behind.units.length === 1 ? commands.single : behind.command;
  return [{ command, units: behind.units, ...historyOf(group) }];
}

/** Bytes of the body that a group is sent as. */
export function bytesOf(
  { command }: Pick<Group, 'command'>,
  units: readonly Unit[],
  { form }: Commands,
): number {
  if (command === 'account_check') throw new RangeError('account_check imports nobody: a bug');
  return Buffer.byteLength(encodeImport(command, form, units.map(accountOf)));
}

function partOf(group: Group, units: readonly Unit[], commands: Commands): Group {
  return { command: units.length === 1 ? commands.single : group.command, units, ...FOLLOW_UP };
}

function rotated<T>([first, ...rest]: readonly T[]): T[] {
  return first === undefined ? rest : [...rest, first];
}

function slices<T>(list: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let from = 0; from < list.length; from += size) parts.push(list.slice(from, from + size));
  return parts;
}
