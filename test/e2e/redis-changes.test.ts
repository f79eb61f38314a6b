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

test('a Redis that has no place for a worker is named by log and readyz, and that there is one again', async () => {
  const before = errors().length;
  await stage.client.config('SET', 'maxclients', '1');
  await stage.client.call('CLIENT', 'KILL', 'TYPE', 'NORMAL');
  await eventually('it is said', () => linesOf(worker, 'Redis refuses to work: it has all').length > 0);
  const { url } = linesOf(worker, 'ops server listens')[0] ?? {};
  await eventually('readyz says it, too', async () => {
    const { problems } = (await (await fetch(`${url}/readyz`)).json()) as { problems: string[] };
    return problems.join() === 'Redis refuses: ERR max number of clients reached.';
  });
  await stage.client.config('SET', 'maxclients', '10000');
  const backs = linesOf(worker, 'Redis is back').length;
  await eventually('that it is back', () => linesOf(worker, 'Redis is back').length > backs);
  await imports('with-a-place');
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(errors().slice(before).slice(1)).toEqual([
    expect.stringMatching(/^Redis refuses to work: it has all the connections that its maxclients allows/),
  ]);
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
