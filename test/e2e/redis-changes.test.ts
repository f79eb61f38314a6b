import { eventually } from '../support/eventually.ts';
import type { ImsyncProcess } from '../support/process.ts';
import { drained, linesOf, logOf, type Stage, setStage } from '../support/stage.ts';

/** What a worker says when Redis is not what it was, and that it goes on. */

let stage: Stage;
let worker: ImsyncProcess;
beforeAll(async () => {
  stage = await setStage();
  worker = await stage.worker();
}, 120_000);
afterAll(() => stage.end(), 60_000);

async function imports(userId: string): Promise<void> {
  await eventually('Redis takes it', () => stage.push({ userId }).catch(() => false));
  await eventually(`${userId} is imported`, () => stage.simulator.accounts.has(userId));
  await drained(stage);
}
const errors = (): string[] =>
  logOf(worker)
    .filter(({ level }) => level === 'error')
    .map(({ msg }) => String(msg));

test('a Redis that became a replica is said, once, and that it is a primary again', async () => {
  await imports('before');
  await stage.client.call('REPLICAOF', '127.0.0.1', '1');
  await eventually('it is said', () => linesOf(worker, 'Redis refuses to work').length > 0);
  // Every loop meets it again and again meanwhile, and the connection is made anew, since it may lead elsewhere.
  const made = async (): Promise<number> =>
    Number(/total_connections_received:(\d+)/.exec(await stage.client.info('stats'))?.[1]);
  const before = await made();
  await eventually('the primary is sought', async () => (await made()) > before);
  await stage.client.call('REPLICAOF', 'NO', 'ONE');
  await eventually('that it is back', () => linesOf(worker, 'Redis is back').length === errors().length);
  await imports('after');
  expect(errors()).toEqual([expect.stringMatching(/^Redis refuses to work: it is a replica/)]);
  expect(linesOf(worker, 'Redis is back')).toHaveLength(1);
}, 90_000);

test('a Redis that was emptied is noticed, said loudly once, and work goes on', async () => {
  const before = errors().length;
  await stage.client.flushall();
  await eventually('it is said', () => linesOf(worker, 'Redis has lost what it held').length > 0);
  await imports('afterwards');
  const { workers } = JSON.parse((await stage.verb(['status', '--json'])).stdout);
  expect(workers).toHaveLength(1);
  expect(errors().slice(before)).toEqual([expect.stringContaining('Redis has lost what it held')]);
}, 90_000);
