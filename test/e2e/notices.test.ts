import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import type { ImsyncProcess } from '../support/process.ts';
import { drained, linesOf, logOf, type Stage, setStage } from '../support/stage.ts';
import { says, startWebhook, type Webhook } from '../support/webhook.ts';

/** Notices of real workers to receivers over real HTTP. */

const SECRET = 'SEC-5a1f0c9e7b3d2468';
const TOKEN = 'tok-8f2e6a90c4d17b35';
const TAKEN = {
  slack: says('ok'),
  dingtalk: says({ errcode: 0, errmsg: 'ok' }),
  feishu: says({ code: 0, msg: 'success', data: {} }),
  wecom: says({ errcode: 0, errmsg: 'ok' }),
  json: says(''),
};
type Kind = keyof typeof TAKEN;
const kinds = Object.keys(TAKEN) as Kind[];

let stage: Stage;
let hooks: Webhook[];
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imsync-notices-'));
  stage = await setStage();
  hooks = [];
}, 120_000);
afterEach(async () => {
  await stage.end();
  await Promise.all(hooks.map((hook) => hook.close()));
  await rm(folder, { recursive: true, force: true });
}, 120_000);

async function receiver(kind: Kind): Promise<Webhook> {
  const hook = await startWebhook(TAKEN[kind]);
  hooks.push(hook);
  return hook;
}

/** The address of a receiver as an operator writes it, with its secret if its kind takes one. */
function addressOf(kind: Kind, hook: Pick<Webhook, 'url'>): string {
  const signed = kind === 'slack' || kind === 'wecom' ? '' : `#secret=${SECRET}`;
  return `${kind}+${hook.url}/robot/${TOKEN}?access_token=${TOKEN}${signed}`;
}

/** The kinds of all notices that a JSON receiver has taken, in order. */
function kindsTo({ received }: Webhook): string[] {
  return received.flatMap(({ json }) => json.notices.map(({ kind }: { kind: string }) => kind));
}

/** What people read of a message. */
// biome-ignore lint/suspicious/noExplicitAny: bodies have the shape of their receiver
function textIn(kind: Kind, body: any): string {
  if (kind === 'slack') return body.text;
  if (kind === 'json') return body.notices.map(({ title }: { title: string }) => title).join();
  return kind === 'feishu' ? body.content.text : body.text.content;
}

const fault = (errorCode: number): void =>
  stage.simulator.setFaults({ rules: [{ match: {}, action: { errorCode } }] });

const told = (hook: Webhook, kind: string, times = 1, timeoutMs = 60_000): Promise<unknown> =>
  eventually(
    `${times} × ${kind} (${kindsTo(hook).join(', ')})`,
    () => kindsTo(hook).filter((one) => one === kind).length >= times,
    timeoutMs,
  );

const TAKES_OVER = 'this worker sends the notices of the fleet from now on';

/** The worker that sends, and another one. */
async function senderOf(workers: readonly ImsyncProcess[]): Promise<[ImsyncProcess, ImsyncProcess]> {
  const sender = await eventually('one of them sends', () =>
    workers.find((worker) => linesOf(worker, TAKES_OVER).length > 0),
  );
  const other = workers.find((worker) => worker !== sender);
  if (other === undefined) throw new Error('there is no other worker');
  return [sender, other];
}

test('of two workers one tells each receiver in its own form that all calls are held, and that they go on', async () => {
  const all = new Map<Kind, Webhook>();
  for (const kind of kinds) all.set(kind, await receiver(kind));
  const env = { IMSYNC_NOTIFY_URLS: [...all].map(([kind, hook]) => addressOf(kind, hook)).join('\n') };
  const workers = [await stage.worker(env), await stage.worker(env)];
  fault(70003);
  await stage.push({ userId: 'held-user' });
  const json = all.get('json') as Webhook;
  await told(json, 'hold');
  stage.simulator.setFaults({});
  await told(json, 'hold-over', 1, 90_000);
  for (const [kind, hook] of all) {
    await eventually(`two messages to ${kind}`, () => hook.received.length >= 2);
    expect([kind, hook.received.length]).toEqual([kind, 2]);
    const [held, over] = hook.received.map(({ json: body }) => textIn(kind, body));
    expect(held).toMatch(/All calls are held: credentials \(70003\)/);
    expect(over).toMatch(/The hold is over, calls go on: credentials/);
    for (const { url } of hook.received) expect(url).toMatch(`/robot/${TOKEN}?access_token=${TOKEN}`);
    expect(JSON.stringify(hook.received)).not.toContain('held-user');
    expect(JSON.stringify(hook.received)).not.toContain(SECRET);
  }
  const [toDingTalk] = all.get('dingtalk')?.received ?? [];
  const query = new URL(`http://x${toDingTalk?.url}`).searchParams;
  const stamp = query.get('timestamp') ?? '';
  expect(Math.abs(Date.now() - Number(stamp))).toBeLessThan(300_000);
  expect(query.get('sign')).toBe(createHmac('sha256', SECRET).update(`${stamp}\n${SECRET}`).digest('base64'));
  const [toFeishu] = all.get('feishu')?.received ?? [];
  const { timestamp, sign } = toFeishu?.json ?? {};
  expect(timestamp).toMatch(/^\d{10}$/);
  expect(sign).toBe(createHmac('sha256', `${timestamp}\n${SECRET}`).digest('base64'));
  const [toJson] = json.received;
  const signed = `${toJson?.headers['x-imsync-timestamp']}.${toJson?.body}`;
  expect(toJson?.headers['x-imsync-signature']).toBe(
    `v1=${createHmac('sha256', SECRET).update(signed).digest('hex')}`,
  );
  // One process sent all of them. No secret is in a log, and none is in Redis.
  expect(workers.map((worker) => linesOf(worker, 'notices sent').length > 0).sort()).toEqual([false, true]);
  const notices = JSON.stringify(await stage.client.hgetall(stage.keys.notices));
  expect(notices).toContain('hold');
  for (const text of [...workers.flatMap(({ lines }) => lines), notices]) {
    expect(text).not.toContain(TOKEN);
    expect(text).not.toContain(SECRET);
  }
}, 180_000);

test('a killed sender is replaced within 20 s, and a stopped one at once; nothing is told twice or forgotten', async () => {
  const hook = await receiver('json');
  const env = { IMSYNC_NOTIFY_URLS: addressOf('json', hook) };
  const first = await stage.worker(env);
  const [sender, other] = await senderOf([first, await stage.worker(env)]);
  fault(70003);
  await stage.push({ userId: 'u' });
  await told(hook, 'hold');
  await eventually('the state says so', async () => {
    const { queued } = JSON.parse((await stage.client.hget(stage.keys.notices, 'state')) ?? '{}').outbox;
    return queued.length === 0;
  });
  sender.signal('SIGKILL');
  const killedMs = performance.now();
  await other.line(TAKES_OVER, 30_000);
  expect(performance.now() - killedMs).toBeLessThan(20_000);
  // The whole fleet stops. Meanwhile an operator pauses.
  other.signal('SIGTERM');
  expect(await other.ended).toBe(0);
  expect(await stage.client.hget(stage.keys.notices, 'sender')).toBeNull();
  expect((await stage.verb(['pause', '--reason', 'maintenance'])).code).toBe(0);
  const third = await stage.worker(env);
  const startedMs = performance.now();
  await third.line(TAKES_OVER);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  await told(hook, 'paused');
  expect(hook.received.at(-1)?.json.notices[0].text).toContain('maintenance');
  stage.simulator.setFaults({});
  expect((await stage.verb(['resume'])).code).toBe(0);
  await told(hook, 'hold-over', 1, 120_000);
  expect(kindsTo(hook)).toEqual(['hold', 'paused', 'resumed', 'hold-over']);
}, 240_000);

test('a receiver that is away, hangs, redirects or refuses in its answer delays no other, and gets it later', async () => {
  const [well, refusing, silent, redirecting, target] = [
    await receiver('json'),
    await receiver('dingtalk'),
    await receiver('slack'),
    await receiver('wecom'),
    await receiver('wecom'),
  ];
  const away = await startWebhook(says(''));
  await away.close();
  refusing.answer = says({ errcode: 310000, errmsg: `sign not match ${TOKEN}` });
  silent.answer = () => undefined;
  redirecting.answer = (response) => response.writeHead(307, { location: `${target.url}/x` }).end();
  const worker = await stage.worker({
    IMSYNC_NOTIFY_URLS: [
      addressOf('slack', silent),
      addressOf('wecom', redirecting),
      addressOf('dingtalk', refusing),
      addressOf('feishu', away),
      addressOf('json', well),
    ].join(','),
  });
  await worker.line(TAKES_OVER);
  await stage.verb(['pause']);
  await told(well, 'paused', 1, 10_000);
  await stage.verb(['resume']);
  await told(well, 'resumed', 1, 15_000);
  const [firstMs = 0, secondMs = 0] = well.received.map(({ atMs }) => atMs);
  expect(Math.abs(firstMs - (silent.received[0]?.atMs ?? 0))).toBeLessThan(2_500);
  // DingTalk and WeCom refuse more than 20 messages a minute.
  expect(secondMs - firstMs).toBeGreaterThan(3_900);
  const reasons = await eventually('four failures', () => {
    const lines = linesOf(worker, 'notices were not taken');
    return lines.length === 4 && Object.fromEntries(lines.map(({ receiver: id, reason }) => [id, reason]));
  });
  expect(reasons).toEqual({
    'slack-1': 'no answer within 5 s',
    'wecom-2': 'HTTP 307, a redirect',
    'dingtalk-3': 'its answer says 310000: sign not match ***',
    'feishu-4': 'it cannot be called (ECONNREFUSED)',
  });
  expect(target.received).toEqual([]);
  const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  const metrics = await (await fetch(`${String(url)}/metrics`)).text();
  expect(metrics).toContain('imsync_notices_total{receiver="json",result="sent"} 2');
  expect(metrics).toMatch(/imsync_notices_total\{receiver="dingtalk",result="failed"\} [1-9]/);
  // It comes back at the same place, and gets both in one message.
  const back = await startWebhook(TAKEN.feishu, Number(new URL(away.url).port));
  hooks.push(back);
  refusing.answer = TAKEN.dingtalk;
  await eventually('it has been told', () => back.received.length > 0, 60_000);
  expect(back.received[0]?.json.content.text).toMatch(/has paused[\s\S]*has resumed/);
  await worker.line('notices sent, the receiver takes them again');
  expect(logOf(worker).filter(({ level }) => level === 'error')).toEqual([]);
  // A receiver that hangs does not hold up the end of the process.
  const stoppedMs = performance.now();
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
  expect(performance.now() - stoppedMs).toBeLessThan(5_000);
  for (const line of worker.lines) expect(line).not.toContain(TOKEN);
}, 180_000);

test('a list of receivers that is changed counts from then on; what others had not taken is given up with a word', async () => {
  const [away, kept, added] = [await receiver('slack'), await receiver('json'), await receiver('wecom')];
  away.answer = (response) => response.writeHead(500).end();
  const file = join(folder, 'receivers');
  const list = (...lines: string[]): Promise<void> => writeFile(file, `${lines.join('\n')}\n`);
  await list(addressOf('slack', away), addressOf('json', kept));
  const worker = await stage.worker({ IMSYNC_NOTIFY_URLS_FILE: file });
  await worker.line(TAKES_OVER);
  await stage.verb(['pause']);
  await told(kept, 'paused');
  await worker.line('notices were not taken; they are tried again for an hour');
  // The place is part of the ID: nobody of before is there any more.
  await list(addressOf('json', kept), addressOf('wecom', added));
  await stage.verb(['resume']);
  await told(kept, 'resumed');
  await eventually('the new one is told, too', () => added.received.length > 0);
  expect(textIn('wecom', added.received[0]?.json)).toContain('has resumed the calls');
  expect(
    await worker.line('notices were not delivered and are given up: this receiver is configured no longer'),
  ).toMatchObject({ receiver: 'slack-1', notices: ['paused'] });
  const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  const metrics = await (await fetch(`${String(url)}/metrics`)).text();
  expect(metrics).toContain('imsync_notices_total{receiver="slack",result="dropped"} 1');
}, 120_000);

test('what happens after a change of the list goes to the new receivers, though none was called since the change', async () => {
  const [before, after] = [await receiver('json'), await receiver('wecom')];
  const file = join(folder, 'receivers-of-a-quiet-fleet');
  await writeFile(file, `${addressOf('json', before)}\n`);
  const worker = await stage.worker({ IMSYNC_NOTIFY_URLS_FILE: file });
  await worker.line(TAKES_OVER);
  await writeFile(file, `${addressOf('wecom', after)}\n`);
  await stage.verb(['pause']);
  await eventually('the new one is told', () => after.received.length > 0);
  expect(textIn('wecom', after.received[0]?.json)).toContain('has paused all calls');
  expect(before.received).toEqual([]);
  await stage.verb(['resume']);
}, 120_000);

test('dead letters, an event that does not end, and the ends of a redrive and an import are told once, without users', async () => {
  const hook = await receiver('json');
  const worker = await stage.worker({
    IMSYNC_NOTIFY_URLS: addressOf('json', hook),
    IMSYNC_NOTIFY_OLDEST_AFTER_MS: '8000',
  });
  await worker.line(TAKES_OVER);
  stage.simulator.setFaults({
    rules: [
      { match: { userIdPattern: '^bad' }, action: { accountCode: 70402 } },
      { match: { userIdPattern: '^stuck' }, action: { errorCode: 70500 } },
    ],
  });
  for (let i = 0; i < 5; i++) await stage.push({ userId: `bad-user-${i}` });
  await stage.push({ userId: 'stuck-user' });
  const rows = join(folder, 'members.csv');
  await writeFile(rows, `userId,nick\nrow-user-1,R\nrow-user-2,R\n${'x'.repeat(40)},R\n`);
  // Others pass, so that no hold begins.
  const others = setInterval(() => void stage.push({ userId: `good${Math.random()}` }), 200);
  try {
    expect((await stage.verb(['import', rows, '--update'])).code).toBe(1);
    await Promise.all([told(hook, 'letters'), told(hook, 'import'), told(hook, 'oldest')]);
    stage.simulator.setFaults({});
    expect((await stage.verb(['dlq', 'redrive', '--reason', 'rejected'])).code).toBe(0);
    await Promise.all([told(hook, 'redrive'), told(hook, 'oldest-over')]);
  } finally {
    clearInterval(others);
  }
  expect(kindsTo(hook).sort()).toEqual(['import', 'letters', 'oldest', 'oldest-over', 'redrive']);
  const notices = hook.received.flatMap(({ json }) => json.notices);
  const factsOf = (kind: string) => notices.find((notice) => notice.kind === kind).facts;
  expect(factsOf('letters')).toEqual({ byReason: { rejected: 5 }, byCode: { 70402: 5 }, unresolved: 5 });
  expect(factsOf('import')).toMatchObject({
    ...{ file: 'members.csv', state: 'done', rows: 3, added: 2, rejected: 1 },
    outcome: { accepted: 2, imported: 2, deadLettered: 0, underWay: 0 },
  });
  expect(factsOf('redrive')).toMatchObject({ state: 'done', letters: 5, users: 5 });
  expect(new Set(notices.map(({ id }) => id)).size).toBe(notices.length);
  expect(hook.received.map(({ body }) => body).join()).not.toMatch(/(bad|stuck|row)-user/);
}, 180_000);

test('the doctor sends a test notice and says what each receiver answers; nothing of it is in the way of a worker without notices', async () => {
  const [well, refusing] = [await receiver('json'), await receiver('wecom')];
  refusing.answer = says({ errcode: 93000, errmsg: 'invalid webhook url' });
  const env = { IMSYNC_NOTIFY_URLS: [addressOf('json', well), addressOf('wecom', refusing)].join(' ') };
  const quiet = await stage.verb(['doctor'], env);
  expect(quiet.stdout).toContain('– Notices go to json-1 at 127.0.0.1, which was not called');
  expect(well.received).toEqual([]);
  const loud = await stage.verb(['doctor', '--send-test-notice'], env);
  expect(loud.stdout).toContain('✓ json-1 at 127.0.0.1 has taken a test notice');
  expect(loud.stdout).toContain(
    '✗ wecom-2 at 127.0.0.1 has not taken the test notice: its answer says 93000',
  );
  expect([loud.code, kindsTo(well)]).toEqual([1, ['test']]);
  expect(loud.stdout + loud.stderr).not.toContain(TOKEN);
  const wrong = await stage.verb(['worker'], { IMSYNC_NOTIFY_URLS: `https://example.com/${TOKEN}` });
  expect([wrong.code, wrong.stderr]).toEqual([
    2,
    'imsync: Receiver 1 in IMSYNC_NOTIFY_URLS is at example.com, a host that is not known; write in front what it understands: KIND+https://… with KIND slack, dingtalk, feishu, wecom or json.\n',
  ]);
  const worker = await stage.worker();
  await stage.push({ userId: 'u' });
  await drained(stage);
  expect(await stage.client.exists(stage.keys.notices)).toBe(0);
  const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  expect(await (await fetch(`${String(url)}/metrics`)).text()).not.toContain('imsync_notices');
}, 120_000);
