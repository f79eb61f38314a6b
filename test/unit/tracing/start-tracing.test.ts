import { diagnosticsIn, secretsIn, tracingProblems } from '../../../src/tracing/start-tracing.ts';

const ENV = {
  OTEL_EXPORTER_OTLP_ENDPOINT: 'https://me:PASSWORD@collector.example.com/TENANT-1/v1/traces?key=KEYTOK',
  OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer HEADERTOK, x-tenant=Basic%20TENANT%2F2',
};
const lines: string[] = [];
const log = {
  error: ({ tracing }: { tracing: string }) => lines.push(tracing),
  warn: ({ tracing }: { tracing: string }) => lines.push(tracing),
};
const diagnostics = () => diagnosticsIn(log as never, secretsIn(ENV));
/** As the SDK stringifies an error of its exporter. */
const failure = (data: string, message = 'Unauthorized') =>
  JSON.stringify({
    stack: `Error: ${message}\n at x`,
    message,
    code: '401',
    data,
    name: 'OTLPExporterError',
  });
beforeEach(() => {
  lines.length = 0;
});

test('an answer that repeats headers and address shows no token, also not where it is cut', () => {
  const echo = 'Bearer HEADERTOK headertok TENANT/2 PASSWORD KEYTOK TENANT-1';
  diagnostics().error(failure(echo));
  expect(lines).toEqual(['OTLPExporterError: Unauthorized (401); the answer: *** *** *** *** *** ***']);
  for (let chars = 430; chars < 460; chars++) diagnostics().error(failure(`${'x'.repeat(chars)} HEADERTOK`));
  expect(lines.join()).not.toContain('HEAD');
});

test('an address that is none stands in no sentence', () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'not a url PASSWORDTOK' };
  expect(tracingProblems(env)).toEqual([
    'OTEL_EXPORTER_OTLP_ENDPOINT is no address. Write http:// or https://, such as http://collector:4318.',
  ]);
  diagnosticsIn(log as never, secretsIn(env)).warn("could not parse: 'not a url PASSWORDTOK', falling back");
  expect(lines).toEqual(["could not parse: '***', falling back"]);
});

test('a collector that answers otherwise each time costs one line, and a few when its errors differ', () => {
  const { error } = diagnostics();
  for (let n = 0; n < 50; n++) error(failure(`${n} ${'x'.repeat(100_000)}`));
  for (let n = 0; n < 50; n++) error(`connect ECONNREFUSED 127.0.0.1:${n}`);
  expect(lines).toHaveLength(2);
  expect(lines[0]).toHaveLength(500);
  for (let n = 0; n < 50; n++)
    error(failure('', `other ${String.fromCharCode(97 + (n % 26))}${'y'.repeat(n)}`));
  expect(lines).toHaveLength(10);
});
