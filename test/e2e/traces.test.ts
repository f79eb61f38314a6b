import { eventually } from '../support/eventually.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { type Stage, setStage } from '../support/stage.ts';
import { startWebhook } from '../support/webhook.ts';

/** Traces, as a collector receives them from a real worker. */
const CONSUMER = 5;
const ERROR = 2;
let stage: Stage;
let receiver: OtlpReceiver;
let traced: Readonly<Record<string, string>>;

beforeEach(async () => {
  [stage, receiver] = await Promise.all([setStage(), startOtlpReceiver()]);
  traced = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
});
afterEach(async () => {
  await stage.end();
  await receiver.close();
});

/** Prints, when a process ends, which modules of OpenTelemetry it has loaded. */
const loadedAtExit = `data:text/javascript,${encodeURIComponent(`
  import { createRequire } from 'node:module';
  const { cache } = createRequire('file:///x.js');
  process.on('exit', () => {
    for (const path of Object.keys(cache)) if (path.includes('@opentelemetry/')) process.stderr.write(path + '\\n');
  });
`)}`;

/** A traceparent of its own for each number. */
const traceparent = (n: number): string =>
  `00-${String(n).padStart(32, 'a')}-${String(n).padStart(16, 'b')}-01`;
const traceIdOf = (n: number): string => traceparent(n).slice(3, 35);

async function push(count: number, prefix = 'u', first = 1): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++)
    ids.push(
      await stage.push({
        userId: `${prefix}${first + i}`,
        nick: 'Secret Nick',
        traceparent: traceparent(first + i),
      }),
    );
  return ids;
}

const calls = (): ReceivedSpan[] => receiver.spans.filter(({ kind }) => kind === CONSUMER);
const childrenOf = ({ spanId }: ReceivedSpan): ReceivedSpan[] =>
  receiver.spans.filter(({ parentSpanId }) => parentSpanId === spanId);
const linkedTraces = (span: ReceivedSpan): string[] =>
  span.links.filter((link) => 'messaging.message.id' in link.attributes).map(({ traceId }) => traceId);
const attemptsBefore = (span: ReceivedSpan): string[] =>
  span.links
    .filter(({ attributes }) => attributes['imsync.link'] === 'earlier attempt')
    .map(({ spanId }) => spanId);

function inOrder(timesMs: readonly (number | undefined)[]): boolean {
  return timesMs.every((ms = Number.NaN, i) => i === 0 || ms >= Number(timesMs[i - 1]) - 1);
}

/** Waits until as many users as this were imported according to the spans. */
function imported(count: number): Promise<true> {
  return eventually(`spans of ${count} imported users`, () => {
    const sum = calls().reduce((all, { attributes }) => all + Number(attributes['imsync.call.imported']), 0);
    return sum === count ? true : null;
  });
}

test('a call is a span with a link for each event, and with children for slot, request and settlement', async () => {
  await stage.verb(['pause', '--reason', 'a test']);
  const ids = await push(3);
  const worker = await stage.worker(traced);
  await stage.verb(['resume']);
  await imported(3);
  const [call, ...others] = calls();
  if (call === undefined) throw new Error('no call');
  expect(others).toEqual([]);
  expect(call).toMatchObject({ name: 'process user-created', parentSpanId: '', statusCode: 0 });
  expect(call.attributes).toMatchObject({
    'messaging.system': 'redis',
    'messaging.destination.name': stage.keys.stream,
    'messaging.operation.type': 'process',
    'messaging.batch.message_count': 3,
    'imsync.call.command': 'multiaccount_import',
    'imsync.call.users': 3,
    'imsync.call.tries': 0,
    'imsync.slot.class': 'live',
  });
  expect(linkedTraces(call)).toEqual([1, 2, 3].map(traceIdOf));
  expect(call.links.map(({ attributes }) => attributes['messaging.message.id'])).toEqual(ids);
  const children = childrenOf(call);
  expect(children.map(({ name }) => name).sort()).toEqual(['POST', 'settle', 'slot']);
  const [slot, post, settle] = ['slot', 'POST', 'settle'].map((name) =>
    children.find((one) => one.name === name),
  );
  const { hostname, port } = new URL(stage.simulator.url);
  expect(post).toMatchObject({
    kind: 3,
    attributes: {
      'http.request.method': 'POST',
      'server.address': hostname,
      'server.port': Number(port),
      'url.full': `${stage.simulator.url}/v4/im_open_login_svc/multiaccount_import`,
      'http.response.status_code': 200,
    },
  });
  // One after the other, and within the call; the SDK's times are exact to a millisecond.
  const times = [
    call.startMs,
    slot?.startMs,
    slot?.endMs,
    post?.startMs,
    post?.endMs,
    settle?.startMs,
    settle?.endMs,
  ];
  expect(inOrder([...times, call.endMs])).toBe(true);
  expect(call.resource).toMatchObject({ 'service.name': 'im-account-sync', 'host.name': expect.any(String) });
  expect(call.resource).not.toHaveProperty(['host.id']);
  expect(worker.lines.filter((line) => line.includes(call.spanId)).length).toBeGreaterThan(0);
  // No user, profile or signature is in any of it.
  expect(receiver.text()).not.toMatch(/"u[123]"|Secret Nick|usersig/);
});

test('a retry links the attempt before, in the same run and in the next one', async () => {
  // Three answers of 70500: the first in the run that was cut, the next ones in jobs.
  stage.simulator.setFaults({ rules: [{ match: { times: 3 }, action: { errorCode: 70500 } }] });
  // Both wait before there is a worker, so that they are cut into one call.
  await push(2);
  await stage.worker(traced);
  await imported(2);
  const inTime = calls().sort((a, b) => a.startMs - b.startMs);
  expect(inTime.length).toBeGreaterThan(3);
  const failed = inTime.filter(({ statusCode }) => statusCode === ERROR);
  expect(failed.map(({ attributes }) => attributes['error.type'])).toEqual(['70500', '70500', '70500']);
  for (const { attributes } of failed) expect(attributes['imsync.call.later']).toBeGreaterThan(0);
  const [first, ...later] = inTime;
  expect(attemptsBefore(first as ReceivedSpan)).toEqual([]);
  const known = new Set(inTime.map(({ spanId }) => spanId));
  for (const call of later) {
    expect(attemptsBefore(call).length).toBeGreaterThan(0);
    expect(attemptsBefore(call).filter((spanId) => !known.has(spanId))).toEqual([]);
  }
});

test('the parts of a call that is split link the whole, and each user is linked from their own', async () => {
  stage.simulator.setFaults({ rules: [{ match: { userIds: ['u3'] }, action: { httpStatus: 400 } }] });
  await stage.verb(['pause', '--reason', 'a test']);
  await push(5);
  await stage.worker(traced);
  await stage.verb(['resume']);
  await imported(4);
  await eventually(
    'a call for u3 alone',
    () => calls().find((call) => linkedTraces(call).join() === traceIdOf(3)) ?? null,
  );
  const [whole, ...parts] = calls().sort((a, b) => a.startMs - b.startMs);
  expect(whole?.attributes).toMatchObject({ 'error.type': '400', 'messaging.batch.message_count': 5 });
  expect(parts.length).toBeGreaterThan(1);
  const alone = parts.filter(({ attributes }) => attributes['messaging.batch.message_count'] === 1);
  expect(alone.flatMap(linkedTraces)).toEqual(expect.arrayContaining([traceIdOf(3)]));
  for (const part of parts) expect(attemptsBefore(part).length).toBeGreaterThan(0);
});

test('a hold is no trace of its own; the calls that it put off are linked, and so are redriven ones', async () => {
  stage.simulator.setFaults({ rules: [{ action: { errorCode: 70003 } }] });
  await stage.worker(traced);
  await push(2);
  await eventually('a hold', async () => (await stage.client.hget(stage.keys.hold, 'held')) ?? null);
  stage.simulator.setFaults({ rules: [{ match: { userIds: ['u2'] }, action: { accountCode: 70402 } }] });
  await imported(1);
  await eventually(
    'a refused user',
    () => calls().find(({ attributes }) => attributes['imsync.call.dead_lettered'] === 1) ?? null,
  );
  stage.simulator.setFaults({});
  expect((await stage.verb(['dlq', 'redrive', '--reason', 'rejected'])).code).toBe(0);
  await imported(2);
  const redriven = calls().find(({ attributes }) => attributes['imsync.slot.class'] === 'redrive');
  expect(redriven && linkedTraces(redriven)).toEqual([traceIdOf(2)]);
  const held = calls().filter(({ attributes }) => attributes['error.type'] === '70003');
  expect(held.length).toBeGreaterThan(0);
});

test('users stand in traces only when they are asked for', async () => {
  await stage.worker({ ...traced, IMSYNC_TRACES_SHOW_USERS: 'true' });
  await push(1, 'ann');
  await imported(1);
  expect(calls()[0]?.attributes['imsync.user_ids']).toEqual(['ann1']);
});

test('an HTTP request and its events belong to the trace of the request', async () => {
  const worker = await stage.worker({
    ...traced,
    IMSYNC_INTAKE_PORT: '0',
    IMSYNC_INTAKE_TOKENS: 'a-token-of-some-length-0123456789',
  });
  const { url } = await worker.line('HTTP intake listens: POST /v1/users, GET /v1/users/{id}, /openapi.json');
  const response = await fetch(`${url}/v1/users`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer a-token-of-some-length-0123456789',
      'content-type': 'application/json',
      traceparent: traceparent(7),
    },
    body: JSON.stringify({ userId: 'tim' }),
  });
  expect(response.status).toBe(202);
  await imported(1);
  const request = await eventually(
    'the span of the request',
    () => receiver.spans.find(({ kind }) => kind === 2) ?? null,
  );
  expect(request).toMatchObject({
    name: 'POST /v1/users',
    traceId: traceIdOf(7),
    parentSpanId: traceparent(7).slice(36, 52),
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/v1/users',
      'http.response.status_code': 202,
    },
  });
  const [call] = calls();
  expect(call?.links.map(({ traceId, spanId }) => [traceId, spanId])).toEqual([
    [request.traceId, request.spanId],
  ]);
});

test('a sampler of the environment counts, and protobuf is what is sent without a word', async () => {
  const { OTEL_EXPORTER_OTLP_ENDPOINT = '', OTEL_BSP_SCHEDULE_DELAY = '' } = traced;
  await stage.worker({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_BSP_SCHEDULE_DELAY });
  await push(1);
  await eventually('a body of protobuf', () => receiver.bodies.get('application/x-protobuf') ?? null);
  const off = await stage.worker({ ...traced, OTEL_TRACES_SAMPLER: 'always_off' });
  await eventually(
    'a line of the worker',
    () => off.lines.find((line) => line.includes('traces are on')) ?? null,
  );
  await push(20, 'v', 2);
  off.signal('SIGTERM');
  await off.ended;
  expect(calls()).toEqual([]);
});

test('a collector that is away costs the traces, a line a minute, and nothing else', async () => {
  receiver.answer(503);
  const worker = await stage.worker({ ...traced, OTEL_EXPORTER_OTLP_TIMEOUT: '500' });
  await push(3);
  await eventually(
    'a line about it',
    () => worker.lines.find((line) => line.includes('traces are not sent')) ?? null,
    30_000,
  );
  await eventually(
    'the users are imported',
    async () => (await stage.client.hget(stage.keys.books, 'imported')) === '3' || null,
  );
  const startedMs = performance.now();
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
});

test('a collector that repeats what it was sent gets no token into the log', async () => {
  const hook = await startWebhook((response) => {
    const { url = '', headers } = hook.received.at(-1) ?? {};
    response.writeHead(401).end(`${JSON.stringify(headers)} ${url} ${'x'.repeat(hook.received.length)}`);
  });
  const worker = await stage.worker({
    ...traced,
    OTEL_EXPORTER_OTLP_ENDPOINT: `${hook.url}/TENANTTOK`,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer HEADERTOK',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
  });
  await push(3);
  const line = await worker.line('traces are not sent as they should be; nothing else suffers', 30_000);
  expect(line.tracing).toMatch(/^OTLPExporterError: .* \(401\); the answer: .*authorization":"\*\*\*/);
  await eventually('a second answer', () => hook.received.length > 1 || push(1).then(() => null), 30_000);
  for (const text of worker.lines) expect(text).not.toMatch(/HEADERTOK|TENANTTOK/);
  expect(worker.lines.filter((text) => text.includes('traces are not sent'))).toHaveLength(1);
  await hook.close();
}, 120_000);

test.each([
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /OTEL_EXPORTER_OTLP_PROTOCOL is "grpc".*4317/],
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'not a url PASSWORDTOK' },
    /^imsync: OTEL_EXPORTER_OTLP_ENDPOINT is no address\. Write http[^\n]*\n$/,
  ],
  [{ OTEL_TRACES_EXPORTER: 'zipkin' }, /OTEL_TRACES_EXPORTER names "zipkin"/],
])('a worker refuses what it cannot do: %j', async (variables, words) => {
  const run = stage.start(['worker'], { ...traced, ...variables });
  expect(await run.ended).toBe(2);
  expect(run.stderr()).toMatch(words);
});

const off: Readonly<Record<string, string>>[] = [
  {},
  { OTEL_SERVICE_NAME: 'x' },
  { OTEL_TRACES_EXPORTER: 'none' },
  { OTEL_SDK_DISABLED: 'true' },
];
test.each(off)('without traces no package of the SDK is loaded: %j', async (variables) => {
  const isOn = 'OTEL_TRACES_EXPORTER' in variables || 'OTEL_SDK_DISABLED' in variables;
  const worker = await stage.worker({
    ...(isOn && traced),
    ...variables,
    NODE_OPTIONS: `--import ${loadedAtExit}`,
  });
  await push(1);
  await eventually('the import', async () => (await stage.client.hget(stage.keys.books, 'imported')) ?? null);
  worker.signal('SIGTERM');
  await worker.ended;
  const loaded = worker
    .stderr()
    .split('\n')
    .filter((line) => line.includes('@opentelemetry/'));
  expect(loaded.filter((line) => !line.includes('@opentelemetry/api/'))).toEqual([]);
  expect(loaded.length).toBeGreaterThan(0);
  expect(receiver.spans).toEqual([]);
});
