import { type Executed, executedBy } from '../../bench/measure/monitor.ts';
import { scriptNames, watchCommands } from '../../bench/stage/watch-commands.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';

/**
 * What a call costs is counted, never timed: each of its steps is one round trip, whatever the machine. Slots that
 * were given up are asked for again, so they are counted apart.
 */
const CALLS = 30;
/** The calls of a process that stands still for seconds are run by a job. */
const RERUNS = 2;

let fleet: Fleet;
let executed: Executed[];
let givenUp: number;

beforeAll(async () => {
  fleet = await startFleet({
    workers: 1,
    simulator: { quotas: { multiaccount_import: null } },
    env: { IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '500' },
  });
  const { redis, keys, server, drained, addUsers } = fleet;
  const hold = createHoldState(redis, keys);
  await addUsers(100, 'first');
  await drained();
  await hold.pause('test', Date.now());
  await addUsers(100 * CALLS);
  const watch = await watchCommands(redis, server.port);
  const before = Number(await redis.hget(`${keys.pacePrefix}multiaccount_import`, 'givenUp'));
  await watch.clear();
  await hold.resume();
  await drained();
  await watch.caughtUp();
  executed = executedBy(watch.lines, await scriptNames());
  watch.close();
  givenUp = Number(await redis.hget(`${keys.pacePrefix}multiaccount_import`, 'givenUp')) - before;
}, 120_000);
afterAll(() => fleet?.stop());

const of = (name: string): Executed =>
  executed.find((one) => one.name === name) ?? { name, sent: 0, commands: 0 };

test('a call is settled once, with few commands', () => {
  const { sent, commands } = of('settle.lua');
  expect(sent).toBeGreaterThanOrEqual(CALLS);
  expect(sent).toBeLessThanOrEqual(CALLS + RERUNS);
  // One of them takes the call out of the list by the age of its oldest event.
  expect(commands).toBeLessThanOrEqual(14.5 * sent);
});

test.each(['claim.lua', 'BullMQ addStandardJob', 'BullMQ addDelayedJob', 'BullMQ moveToFinished'])(
  'a call that goes well is worked off by its cutter: no %s',
  (name) => {
    expect(of(name).sent).toBeLessThanOrEqual(RERUNS);
  },
);

test('what nobody holds anything against costs the fleet no step of its own', () => {
  // The one that let the fleet go.
  expect(of('hold.lua').sent).toBe(1);
});

test('a cut makes a full call, with commands by the cut and not by the user', () => {
  const { sent, commands } = of('cut.lua');
  expect(sent).toBeGreaterThanOrEqual(CALLS);
  // Some looks find nothing to cut, and the queue of open calls full.
  expect(commands).toBeLessThanOrEqual(24 * sent);
  expect(commands).toBeLessThanOrEqual(24 * (CALLS + RERUNS) + 6 * (sent - CALLS));
});

test('asking for a slot costs the same, however much waits', () => {
  const { sent, commands } = of('slot.lua');
  expect(sent).toBeGreaterThanOrEqual(CALLS);
  expect(commands).toBeLessThanOrEqual(21 * sent);
  // A slot that is given up costs one more question, and one step that counts it.
  expect(of('give-up.lua').sent).toBeLessThanOrEqual(givenUp);
});

test('an event costs Redis less than two thirds of a command', () => {
  const apart = new Set(['slot.lua', 'give-up.lua', 'totals.lua', 'ECHO', 'HGET']);
  const commands = executed
    .filter(({ name }) => !apart.has(name))
    .reduce((sum, one) => sum + one.commands, 0);
  expect(commands).toBeLessThanOrEqual(66 * CALLS);
});
