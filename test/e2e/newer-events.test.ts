import { readTotals } from '../../src/ledger/totals.ts';
import { audit } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { apiError, type Gateway, startGateway } from '../support/gateway.ts';
import { drained, type Stage, setStage } from '../support/stage.ts';

/**
 * One call of 31 users, two of whom make it fail, and one of these two signs up anew each second. Others sign up
 * meanwhile. A newer event of a suspect must not stop the run that settles the others of the record.
 */
const USERS = Array.from({ length: 31 }, (_, n) => `u${n}`);
/** The split makes parts of 7, 7, 7, 7 and 3. So it finds this one first, and then has others to settle. */
const EAGER = 'u30';
const CULPRITS = [EAGER, 'u17'];
const BAD_NICK = '<script>';
/** Long enough for several runs of the suspects. */
const PLAY_MS = 25_000;
/** The rounds of calls take 3 s. Runs that broke off, time after time, left users open after 120 s. */
const A_FEW_SECONDS = 15_000;

let stage: Stage;
let gateway: Gateway;

beforeAll(async () => {
  stage = await setStage();
  gateway = await startGateway(stage.simulator.url);
}, 120_000);
afterAll(async () => {
  await stage.end();
  await gateway.close();
}, 120_000);

test('newer events of a suspect hold up nobody, and every event is accounted for', async () => {
  const { client, keys, simulator } = stage;
  const worker = await stage.worker({
    IMSYNC_BASE_URL: gateway.url,
    IMSYNC_RETRY_BASE_MS: '1000',
    IMSYNC_RETRY_MAX_MS: '60000',
  });
  gateway.setRule(({ body }) => (body.includes(BAD_NICK) ? apiError(70500) : undefined));
  const pushed: Promise<string>[] = [];
  const push = (userId: string, nick: string) => pushed.push(stage.push({ userId, nick }));
  const startMs = performance.now();
  // In one step, so that they go into one call.
  const first = client.multi();
  for (const userId of USERS)
    first.xadd(keys.stream, '*', 'userId', userId, 'nick', CULPRITS.includes(userId) ? BAD_NICK : userId);
  await first.exec();
  let signups = 0;
  const timers = [
    setInterval(() => push(`fresh${signups++}`, 'fresh'), 500),
    setInterval(() => push(EAGER, BAD_NICK), 1_000),
  ];
  const innocents = USERS.filter((userId) => !CULPRITS.includes(userId));
  let innocentsMs = 0;
  try {
    await eventually(
      'the innocent have accounts, and their events have ended',
      async () =>
        innocents.every((userId) => simulator.accounts.has(userId)) &&
        (await client.hmget(keys.owners, ...innocents)).every((callId) => callId === null),
      120_000,
    );
    innocentsMs = performance.now() - startMs;
    await eventually('the play is over', () => performance.now() - startMs > PLAY_MS, PLAY_MS + 10_000);
  } finally {
    for (const timer of timers) clearInterval(timer);
  }
  expect(worker.lines.filter((line) => line.includes('does not balance'))).toEqual([]);
  expect(innocentsMs).toBeLessThan(A_FEW_SECONDS);
  expect((await audit(client, keys)).problems).toEqual([]);
  const fresh = Array.from({ length: signups }, (_, n) => `fresh${n}`);
  await eventually('who signed up meanwhile has an account', () =>
    fresh.every((userId) => simulator.accounts.has(userId)),
  );
  const open = await readTotals(client, keys);
  expect(open).toMatchObject({ imported: innocents.length + signups, deadLettered: 0 });

  // The gateway lets everything pass: the newest event of a suspect goes first, and makes up for the older ones.
  gateway.setRule(undefined);
  push(EAGER, 'at last');
  await Promise.all(pushed);
  await drained(stage, 120_000);
  const books = await readTotals(client, keys);
  const users = USERS.length + signups;
  const accepted = USERS.length + pushed.length;
  expect(books).toMatchObject({
    accepted,
    imported: users,
    superseded: accepted - users,
    deadLettered: 0,
  });
  expect(simulator.accounts.get(EAGER)).toMatchObject({ nick: 'at last' });
  expect((await audit(client, keys)).problems).toEqual([]);
}, 240_000);
