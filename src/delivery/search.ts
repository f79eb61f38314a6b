import type { DeliveryCommand, ImportCommand } from '../im/bodies.ts';
import { afterPass, afterRefusal, nextProbe, type Search, searchOf } from './split.ts';
import type { Commands, Group, Unit } from './unit.ts';

/** How a search for culprits goes on as calls. Pure. */

/** Nobody of the call passed: something in it was refused. Of one user: they are the culprit. */
export function refusedSearch(group: Group, commands: Commands, share: number): Group[] {
  const { search } = group;
  if (search === undefined) {
    if (group.units.length < 2) return [];
    return nextCall(searchOf(group.units), importCommand(group.command), commands, share);
  }
  return nextCall(afterRefusal(search.state, testOf(group)), search.command, commands, share);
}

/** The call went through. */
export function passedSearch(group: Group, commands: Commands, share: number): Group[] {
  const { search } = group;
  if (search === undefined) return [];
  return nextCall(afterPass(search.state, testOf(group)), search.command, commands, share);
}

/**
 * The same users with the first of them called alone before the others: what an answer to everybody looks like
 * is learned at the price of one user. What the search knew is given up, since it counts on both together.
 */
export function scout(group: Group, commands: Commands): Group[] {
  const [first, ...rest] = group.units;
  if (first === undefined || rest.length === 0 || group.command === 'account_check') return [group];
  const left = group.search === undefined ? rest : [...rest, ...group.search.probe.others];
  const untested = group.search?.probe.untested ?? [];
  return [
    { command: commands.single, units: [first], first: false },
    { command: group.command, units: left, first: false },
    ...(untested.length > 0 ? [{ command: group.command, units: untested, first: false }] : []),
  ];
}

/** Users of a search besides those of the call. */
export function waitingFor({ search }: Group): readonly Unit[] {
  return search === undefined ? [] : [...search.probe.others, ...search.probe.untested];
}

/** Users whom a screen or a shorter list took out are not looked for any more. */
function testOf(group: Group) {
  const probe = group.search?.probe;
  return { test: group.units, others: probe?.others ?? [], untested: probe?.untested ?? [] };
}

function nextCall(state: Search<Unit>, command: ImportCommand, commands: Commands, share: number): Group[] {
  const probe = nextProbe(state, share);
  if (probe === undefined) return [];
  return [
    {
      command: probe.test.length === 1 ? commands.single : command,
      units: probe.test,
      first: false,
      search: { command, state, probe },
    },
  ];
}

function importCommand(command: DeliveryCommand): ImportCommand {
  if (command === 'account_check') throw new RangeError('account_check refuses nobody: a bug');
  return command;
}
